/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * closing: descriptors whose close makes the caller wait for the kernel (10 ms
 * and more for a netfilter or packet socket), closed by a thread behind its
 * back.
 */
#ifndef NATRIG_NETNS_CLOSING_H
#define NATRIG_NETNS_CLOSING_H

struct closing;

/* Takes FD over (-1 is legal). *C is made when first needed. */
void closing_add(struct closing **c, int fd);
/* Closes all of them in a thread of its own, and frees C. NULL is legal. */
void closing_start(struct closing *c);

#endif
