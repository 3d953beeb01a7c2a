/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * client_noise: the sealed parts of the WireGuard-shaped messages.
 *
 * Each field is where WireGuard has it and as long, and does its job (the
 * initiation says who sent it, a timestamp stops its replay, the response
 * proves the responder), but the derivation is a plain hash over four
 * Diffie-Hellman results, not Noise IK: this is a model and keeps no secrets.
 *
 *   es = ephemeral x responder's static    ss = static x static
 *   ee = ephemeral x ephemeral             se = static x responder's ephemeral
 */
#include <errno.h>
#include <sodium.h>
#include <string.h>

#include "harness/client_private.h"
#include "wire/cursor.h"
#include "wire/wireguard.h"

#define MAC1_AT_INITIATION (WIREGUARD_INITIATION_BYTES - 32)
#define MAC1_AT_RESPONSE (WIREGUARD_RESPONSE_BYTES - 32)
#define TAI64_BASE 0x400000000000000aULL

static bool seal(uint8_t *out, const void *plain, size_t plain_bytes,
		 const uint8_t key[static 32], uint64_t counter)
{
	uint8_t nonce[12] = {0};

	for (unsigned i = 0; i < 8; i++)
		nonce[4 + i] = (uint8_t)(counter >> 8 * i);
	return crypto_aead_chacha20poly1305_ietf_encrypt(out, NULL, plain,
							 plain_bytes, NULL, 0,
							 NULL, nonce, key) == 0;
}

static bool unseal(uint8_t *plain, const void *sealed, size_t sealed_bytes,
		   const uint8_t key[static 32], uint64_t counter)
{
	uint8_t nonce[12] = {0};

	for (unsigned i = 0; i < 8; i++)
		nonce[4 + i] = (uint8_t)(counter >> 8 * i);
	return crypto_aead_chacha20poly1305_ietf_decrypt(
		       plain, NULL, NULL, sealed, sealed_bytes, NULL, 0, nonce,
		       key) == 0;
}

static void derive(uint8_t key[static 32], const char *label, const void *data,
		   size_t size_bytes)
{
	crypto_generichash(key, 32, data, size_bytes, (const uint8_t *)label,
			   strlen(label));
}

static void mac1(uint8_t out[static 16], const void *message, size_t size_bytes,
		 const uint8_t receiver_static[static 32])
{
	crypto_generichash(out, 16, message, size_bytes, receiver_static, 32);
}

/* The key of the initiation's second sealed field. */
static void timestamp_key(uint8_t key[static 32],
			  const struct client_handshake *h)
{
	uint8_t all[96];

	memcpy(all, h->es, 32);
	memcpy(all + 32, h->ss, 32);
	memcpy(all + 64, h->ephemeral, 32);
	derive(key, "natrig timestamp 0", all, sizeof(all));
}

bool client_noise_initiate(struct client *c, struct client_peer *p, void *out)
{
	struct client_handshake *h = &p->session.handshake;
	struct wireguard_message m = {.type = WIREGUARD_INITIATION};
	struct writer w;
	uint8_t key[32], now[12];

	*h = (struct client_handshake){0};
	rng_bytes(&c->rng, h->secret, sizeof(h->secret));
	rng_bytes(&c->rng, &h->local, sizeof(h->local));
	if (crypto_scalarmult_base(h->ephemeral, h->secret) != 0 ||
	    crypto_box_beforenm(h->es, p->node_key, h->secret) != 0 ||
	    crypto_box_beforenm(h->ss, p->node_key, c->node_secret) != 0)
		return false;
	w = writer_over(now, sizeof(now));
	writer_u64(&w, TAI64_BASE + c->now_us / CLIENT_S);
	writer_u32(&w, (uint32_t)(c->now_us % CLIENT_S * 1000));
	timestamp_key(key, h);
	m.sender = h->local;
	memcpy(m.ephemeral, h->ephemeral, sizeof(m.ephemeral));
	if (!seal(m.sealed_static, c->node_public, 32, h->es, 0) ||
	    !seal(m.sealed_timestamp, now, sizeof(now), key, 0) ||
	    wireguard_encode(&m, out, WIREGUARD_INITIATION_BYTES) < 0)
		return false;
	mac1(m.mac1, out, MAC1_AT_INITIATION, p->node_key);
	if (wireguard_encode(&m, out, WIREGUARD_INITIATION_BYTES) < 0)
		return false;
	h->state = CLIENT_HANDSHAKE_SENT;
	return true;
}

struct client_peer *client_noise_take_initiation(struct client *c,
						 const void *data)
{
	struct client_handshake h = {.state = CLIENT_HANDSHAKE_CONSUMED};
	uint8_t key[32], mac[16], from[32], when[12];
	struct wireguard_message m;
	struct client_peer *p;

	mac1(mac, data, MAC1_AT_INITIATION, c->node_public);
	if (wireguard_decode(data, WIREGUARD_INITIATION_BYTES, &m, NULL) < 0 ||
	    sodium_memcmp(mac, m.mac1, sizeof(mac)) != 0 ||
	    crypto_box_beforenm(h.es, m.ephemeral, c->node_secret) != 0 ||
	    !unseal(from, m.sealed_static, sizeof(m.sealed_static), h.es, 0))
		return NULL;
	p = client_peer_by_node(c, from);
	if (!p || crypto_box_beforenm(h.ss, p->node_key, c->node_secret) != 0)
		return NULL;
	memcpy(h.ephemeral, m.ephemeral, sizeof(h.ephemeral));
	timestamp_key(key, &h);
	if (!unseal(when, m.sealed_timestamp, sizeof(m.sealed_timestamp), key,
		    0) ||
	    memcmp(when, p->session.timestamp, sizeof(when)) <= 0)
		return NULL; /* forged, or seen before */
	memcpy(p->session.timestamp, when, sizeof(when));
	h.remote = m.sender;
	p->session.handshake = h;
	return p;
}

/*
 * Both sides' session keys from the four results. The response proves that
 * its sender could compute them: its sealed nothing goes into *PROOF_KEY.
 */
static void session_keys(struct client_keypair *pair,
			 const struct client_handshake *h,
			 const uint8_t ee[static 32],
			 const uint8_t se[static 32],
			 uint8_t proof_key[static 32])
{
	uint8_t all[128];

	memcpy(all, h->es, 32);
	memcpy(all + 32, h->ss, 32);
	memcpy(all + 64, ee, 32);
	memcpy(all + 96, se, 32);
	derive(proof_key, "natrig response 0", all, sizeof(all));
	derive(pair->initiator ? pair->send_key : pair->receive_key,
	       "natrig to responder", all, sizeof(all));
	derive(pair->initiator ? pair->receive_key : pair->send_key,
	       "natrig to initiator", all, sizeof(all));
	pair->local = h->local;
	pair->remote = h->remote;
	pair->valid = true;
}

bool client_noise_respond(struct client *c, struct client_peer *p,
			  struct client_keypair *pair, void *out)
{
	struct client_handshake *h = &p->session.handshake;
	struct wireguard_message m = {.type = WIREGUARD_RESPONSE};
	uint8_t secret[32], ee[32], se[32], key[32];

	*pair = (struct client_keypair){.created_us = c->now_us};
	rng_bytes(&c->rng, secret, sizeof(secret));
	rng_bytes(&c->rng, &h->local, sizeof(h->local));
	if (crypto_scalarmult_base(m.ephemeral, secret) != 0 ||
	    crypto_box_beforenm(ee, h->ephemeral, secret) != 0 ||
	    crypto_box_beforenm(se, p->node_key, secret) != 0)
		return false;
	session_keys(pair, h, ee, se, key);
	h->state = CLIENT_HANDSHAKE_NONE;
	m.sender = h->local;
	m.receiver = h->remote;
	if (!seal(m.sealed_nothing, NULL, 0, key, 0) ||
	    wireguard_encode(&m, out, WIREGUARD_RESPONSE_BYTES) < 0)
		return false;
	mac1(m.mac1, out, MAC1_AT_RESPONSE, p->node_key);
	return wireguard_encode(&m, out, WIREGUARD_RESPONSE_BYTES) > 0;
}

bool client_noise_take_response(struct client *c, struct client_peer *p,
				const void *data, struct client_keypair *pair)
{
	struct client_handshake *h = &p->session.handshake;
	uint8_t ee[32], se[32], key[32], mac[16], nothing[1];
	struct wireguard_message m;

	mac1(mac, data, MAC1_AT_RESPONSE, c->node_public);
	if (wireguard_decode(data, WIREGUARD_RESPONSE_BYTES, &m, NULL) < 0 ||
	    sodium_memcmp(mac, m.mac1, sizeof(mac)) != 0 ||
	    crypto_box_beforenm(ee, m.ephemeral, h->secret) != 0 ||
	    crypto_box_beforenm(se, m.ephemeral, c->node_secret) != 0)
		return false;
	h->remote = m.sender;
	*pair = (struct client_keypair){.initiator = true,
					.created_us = c->now_us};
	session_keys(pair, h, ee, se, key);
	if (!unseal(nothing, m.sealed_nothing, sizeof(m.sealed_nothing), key,
		    0))
		return false;
	*h = (struct client_handshake){0};
	return true;
}

int client_noise_seal(struct client_keypair *pair, const void *inner,
		      size_t inner_bytes, void *out, size_t out_bytes)
{
	uint8_t padded[CLIENT_PADDED_BYTES] = {0};
	uint8_t sealed[CLIENT_PADDED_BYTES + WIREGUARD_TAG_BYTES];
	size_t padded_bytes = (inner_bytes + 15) / 16 * 16;
	struct wireguard_message m = {.type = WIREGUARD_DATA,
				      .receiver = pair->remote,
				      .counter = pair->send_counter,
				      .packet = sealed};

	if (padded_bytes > sizeof(padded))
		return -EMSGSIZE;
	if (inner_bytes)
		memcpy(padded, inner, inner_bytes);
	m.packet_bytes = padded_bytes + WIREGUARD_TAG_BYTES;
	if (!seal(sealed, padded, padded_bytes, pair->send_key, m.counter))
		return -EINVAL;
	pair->send_counter++;
	return wireguard_encode(&m, out, out_bytes);
}

/* RFC 6479's idea, with a window of one word. */
static bool is_replay(const struct client_keypair *pair, uint64_t counter)
{
	uint64_t back = pair->receive_next - 1 - counter;

	if (counter >= pair->receive_next)
		return false;
	return back >= 64 || pair->receive_window >> back & 1;
}

static void mark_received(struct client_keypair *pair, uint64_t counter)
{
	uint64_t ahead;

	if (counter < pair->receive_next) {
		pair->receive_window |= 1ULL
					<< (pair->receive_next - 1 - counter);
		return;
	}
	ahead = counter + 1 - pair->receive_next;
	pair->receive_window = ahead < 64 ? pair->receive_window << ahead : 0;
	pair->receive_window |= 1;
	pair->receive_next = counter + 1;
}

int client_noise_open(struct client_keypair *pair, const void *data,
		      size_t size_bytes, void *inner, size_t inner_bytes)
{
	struct wireguard_message m;
	size_t plain_bytes;

	if (wireguard_decode(data, size_bytes, &m, NULL) < 0 ||
	    m.type != WIREGUARD_DATA)
		return -EBADMSG;
	plain_bytes = m.packet_bytes - WIREGUARD_TAG_BYTES;
	if (plain_bytes > inner_bytes)
		return -EMSGSIZE;
	if (m.counter == UINT64_MAX || is_replay(pair, m.counter))
		return -EALREADY;
	if (!unseal(inner, m.packet, m.packet_bytes, pair->receive_key,
		    m.counter))
		return -EACCES;
	mark_received(pair, m.counter);
	return (int)plain_bytes;
}
