/* SPDX-License-Identifier: BSD-3-Clause */
#include "wire/derp.h"

#include <errno.h>
#include <string.h>
#include <strings.h>

#include <sodium.h>

#include "wire/cursor.h"

enum {
	MAGIC_BYTES = 8,
	BOX_EXTRA_BYTES = 16, /* what the box adds: its Poly1305 tag */
	NOWHERE = -1,
	/* No honest upgrade is longer; it bounds what a peer makes us keep. */
	HTTP_MAX_BYTES = 8192
};

_Static_assert(crypto_box_PUBLICKEYBYTES == DERP_KEY_BYTES &&
		       crypto_box_NONCEBYTES == DERP_NONCE_BYTES &&
		       crypto_box_MACBYTES == BOX_EXTRA_BYTES,
	       "libsodium's box is the one that DERP uses");

static const uint8_t magic[MAGIC_BYTES] = {'D',	 'E',  'R',  'P',
					   0xf0, 0x9f, 0x94, 0x91};

/* Where the parts of each type are; a type that is not here is opaque. */
static const struct layout {
	uint8_t type;
	uint8_t least_bytes;
	int8_t key_at;
	int8_t packet_at;
} layouts[] = {
	{DERP_SERVER_KEY, MAGIC_BYTES + DERP_KEY_BYTES, MAGIC_BYTES, NOWHERE},
	{DERP_CLIENT_INFO, DERP_KEY_BYTES + DERP_NONCE_BYTES + BOX_EXTRA_BYTES,
	 0, NOWHERE},
	{DERP_SERVER_INFO, DERP_NONCE_BYTES + BOX_EXTRA_BYTES, NOWHERE,
	 NOWHERE},
	{DERP_SEND_PACKET, DERP_KEY_BYTES, 0, DERP_KEY_BYTES},
	{DERP_RECV_PACKET, DERP_KEY_BYTES, 0, DERP_KEY_BYTES},
	{DERP_NOTE_PREFERRED, 1, NOWHERE, NOWHERE},
	/* Old servers leave out the reason. */
	{DERP_PEER_GONE, DERP_KEY_BYTES, 0, NOWHERE},
	/* Source key, destination key, packet. */
	{DERP_FORWARD_PACKET, 2 * DERP_KEY_BYTES, 0, 2 * DERP_KEY_BYTES},
	{DERP_PING, 8, NOWHERE, NOWHERE},
	{DERP_PONG, 8, NOWHERE, NOWHERE},
	{DERP_RESTARTING, 8, NOWHERE, NOWHERE},
};

static const struct layout *layout_of(uint8_t type)
{
	for (size_t i = 0; i < sizeof(layouts) / sizeof(layouts[0]); i++) {
		if (layouts[i].type == type)
			return &layouts[i];
	}
	return NULL;
}

static void find_parts(const struct layout *layout, struct derp_frame *frame)
{
	if (layout->key_at != NOWHERE)
		frame->key = frame->body + layout->key_at;
	if (layout->packet_at != NOWHERE) {
		frame->packet = frame->body + layout->packet_at;
		frame->packet_bytes =
			frame->body_bytes - (size_t)layout->packet_at;
	}
}

int derp_decode(const void *data, size_t size_bytes, struct derp_frame *frame,
		struct err *err)
{
	struct reader r = reader_over(data, size_bytes);
	const struct layout *layout;
	size_t body_bytes;
	uint8_t type;

	*frame = (struct derp_frame){0};
	type = reader_u8(&r);
	body_bytes = reader_u32(&r);
	if (r.bad)
		return 0;
	layout = layout_of(type);
	/* Said at once, so that nobody waits for bytes of a bad frame. */
	if (body_bytes > DERP_MAX_FRAME_BYTES ||
	    (layout && body_bytes < layout->least_bytes))
		return err_set(err, EBADMSG,
			       "DERP frame of type 0x%02x cannot have %zu "
			       "bytes",
			       type, body_bytes);
	if (reader_left(&r) < body_bytes)
		return 0;
	frame->type = type;
	frame->body_bytes = body_bytes;
	frame->body = reader_view(&r, body_bytes);
	if (layout)
		find_parts(layout, frame);
	if (type == DERP_SERVER_KEY &&
	    memcmp(frame->body, magic, sizeof(magic)) != 0) {
		*frame = (struct derp_frame){0};
		return err_set(err, EBADMSG,
			       "DERP server key without its magic");
	}
	return (int)r.at_bytes;
}

static void write_header(struct writer *w, uint8_t type, size_t body_bytes)
{
	if (body_bytes > DERP_MAX_FRAME_BYTES)
		w->bad = true;
	writer_u8(w, type);
	writer_u32(w, (uint32_t)body_bytes);
}

int derp_encode(uint8_t type, const void *body, size_t body_bytes, void *out,
		size_t out_bytes)
{
	struct writer w = writer_over(out, out_bytes);

	write_header(&w, type, body_bytes);
	writer_bytes(&w, body, body_bytes);
	return writer_result(&w);
}

int derp_encode_packet(uint8_t type, const uint8_t key[static DERP_KEY_BYTES],
		       const void *packet, size_t packet_bytes, void *out,
		       size_t out_bytes)
{
	struct writer w = writer_over(out, out_bytes);

	if (packet_bytes > DERP_MAX_PACKET_BYTES)
		return -EMSGSIZE;
	write_header(&w, type, DERP_KEY_BYTES + packet_bytes);
	writer_bytes(&w, key, DERP_KEY_BYTES);
	writer_bytes(&w, packet, packet_bytes);
	return writer_result(&w);
}

int derp_encode_server_key(const uint8_t key[static DERP_KEY_BYTES], void *out,
			   size_t out_bytes)
{
	struct writer w = writer_over(out, out_bytes);

	write_header(&w, DERP_SERVER_KEY, sizeof(magic) + DERP_KEY_BYTES);
	writer_bytes(&w, magic, sizeof(magic));
	writer_bytes(&w, key, DERP_KEY_BYTES);
	return writer_result(&w);
}

/* Nonce and box; 0, -EMSGSIZE in the writer, or -EINVAL (bad key). */
static int write_box(struct writer *w, const uint8_t *secret,
		     const uint8_t *peer_pub, const uint8_t *nonce,
		     const char *json)
{
	size_t json_len = strlen(json);
	uint8_t *box;

	writer_bytes(w, nonce, DERP_NONCE_BYTES);
	box = writer_room(w, json_len + BOX_EXTRA_BYTES);
	if (box && crypto_box_easy(box, (const uint8_t *)json, json_len, nonce,
				   peer_pub, secret) != 0)
		return -EINVAL;
	return 0;
}

int derp_encode_client_info(const uint8_t pub[static DERP_KEY_BYTES],
			    const uint8_t secret[static DERP_KEY_BYTES],
			    const uint8_t server_pub[static DERP_KEY_BYTES],
			    const uint8_t nonce[static DERP_NONCE_BYTES],
			    const char *json, void *out, size_t out_bytes)
{
	struct writer w = writer_over(out, out_bytes);
	int ret;

	write_header(&w, DERP_CLIENT_INFO,
		     DERP_KEY_BYTES + DERP_NONCE_BYTES + BOX_EXTRA_BYTES +
			     strlen(json));
	writer_bytes(&w, pub, DERP_KEY_BYTES);
	ret = write_box(&w, secret, server_pub, nonce, json);
	return ret ? ret : writer_result(&w);
}

int derp_encode_server_info(const uint8_t secret[static DERP_KEY_BYTES],
			    const uint8_t client_pub[static DERP_KEY_BYTES],
			    const uint8_t nonce[static DERP_NONCE_BYTES],
			    const char *json, void *out, size_t out_bytes)
{
	struct writer w = writer_over(out, out_bytes);
	int ret;

	write_header(&w, DERP_SERVER_INFO,
		     DERP_NONCE_BYTES + BOX_EXTRA_BYTES + strlen(json));
	ret = write_box(&w, secret, client_pub, nonce, json);
	return ret ? ret : writer_result(&w);
}

/* Opens the nonce and box that fill the rest of R. */
static int open_box(struct reader *r, const uint8_t *secret,
		    const uint8_t *peer_pub, char *json, size_t json_bytes)
{
	const uint8_t *nonce = reader_view(r, DERP_NONCE_BYTES);
	size_t box_bytes = reader_left(r);
	const uint8_t *box = reader_view(r, box_bytes);

	if (!nonce || box_bytes < BOX_EXTRA_BYTES)
		return -EBADMSG;
	/* One byte more than the plain text: its NUL. */
	if (json_bytes < box_bytes - BOX_EXTRA_BYTES + 1)
		return -EMSGSIZE;
	if (crypto_box_open_easy((uint8_t *)json, box, box_bytes, nonce,
				 peer_pub, secret) != 0) {
		json[0] = '\0';
		return -EACCES;
	}
	json[box_bytes - BOX_EXTRA_BYTES] = '\0';
	return 0;
}

int derp_open_client_info(const struct derp_frame *frame,
			  const uint8_t server_secret[static DERP_KEY_BYTES],
			  uint8_t client_pub[static DERP_KEY_BYTES], char *json,
			  size_t json_bytes)
{
	struct reader r = reader_over(frame->body, frame->body_bytes);

	if (frame->type != DERP_CLIENT_INFO)
		return -EBADMSG;
	reader_bytes(&r, client_pub, DERP_KEY_BYTES);
	return open_box(&r, server_secret, client_pub, json, json_bytes);
}

int derp_open_server_info(const struct derp_frame *frame,
			  const uint8_t secret[static DERP_KEY_BYTES],
			  const uint8_t server_pub[static DERP_KEY_BYTES],
			  char *json, size_t json_bytes)
{
	struct reader r = reader_over(frame->body, frame->body_bytes);

	if (frame->type != DERP_SERVER_INFO)
		return -EBADMSG;
	return open_box(&r, secret, server_pub, json, json_bytes);
}

static void write_text(struct writer *w, const char *text)
{
	writer_bytes(w, text, strlen(text));
}

int derp_encode_upgrade_request(const char *host, void *out, size_t out_bytes)
{
	struct writer w = writer_over(out, out_bytes);

	/* A line break in the name would add headers of its own. */
	if (strpbrk(host, "\r\n"))
		return -EINVAL;
	write_text(&w, "GET /derp HTTP/1.1\r\nHost: ");
	write_text(&w, host);
	write_text(&w, "\r\nUpgrade: DERP\r\nConnection: Upgrade\r\n\r\n");
	return writer_result(&w);
}

int derp_encode_upgrade_response(void *out, size_t out_bytes)
{
	struct writer w = writer_over(out, out_bytes);

	write_text(&w, "HTTP/1.1 101 Switching Protocols\r\n"
		       "Upgrade: DERP\r\n"
		       "Connection: Upgrade\r\n\r\n");
	return writer_result(&w);
}

/* A line of the header, without its CR LF; not NUL-terminated. */
struct line {
	const char *text;
	size_t len;
};

static bool next_line(struct reader *r, struct line *line)
{
	size_t left = reader_left(r);
	const char *start = (const char *)reader_view(r, 0);
	const char *end = left ? memchr(start, '\n', left) : NULL;

	if (!end)
		return false;
	line->text = start;
	line->len = (size_t)(end - start);
	reader_skip(r, line->len + 1);
	if (line->len && start[line->len - 1] == '\r')
		line->len--;
	return true;
}

static bool starts_with(const struct line *line, const char *prefix)
{
	size_t len = strlen(prefix);

	return line->len >= len && memcmp(line->text, prefix, len) == 0;
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t';
}

/* True where LINE is header NAME and WORD is one of its comma-separated. */
static bool header_has(const struct line *line, const char *name,
		       const char *word)
{
	size_t name_len = strlen(name), word_len = strlen(word);
	size_t at = name_len + 1;

	if (line->len < at || line->text[name_len] != ':' ||
	    strncasecmp(line->text, name, name_len) != 0)
		return false;
	while (at < line->len) {
		size_t start, len;

		while (at < line->len &&
		       (is_blank(line->text[at]) || line->text[at] == ','))
			at++;
		start = at;
		while (at < line->len && line->text[at] != ',')
			at++;
		len = at - start;
		while (len && is_blank(line->text[start + len - 1]))
			len--;
		if (len == word_len &&
		    strncasecmp(line->text + start, word, len) == 0)
			return true;
	}
	return false;
}

/*
 * Whether what has come so far can still become an upgrade: TLS, for one, can
 * be told from its first byte and would otherwise be waited on forever.
 */
static bool may_become(const void *data, size_t size_bytes, const char *start)
{
	size_t len = strlen(start);

	if (len > size_bytes)
		len = size_bytes;
	return !len || memcmp(data, start, len) == 0;
}

static bool first_line_right(const struct line *line, bool as_server)
{
	if (as_server)
		return starts_with(line, "GET /derp HTTP/1.") ||
		       starts_with(line, "GET /derp?");
	return starts_with(line, "HTTP/1.1 101") &&
	       (line->len == 12 || line->text[12] == ' ');
}

int derp_decode_upgrade(const void *data, size_t size_bytes, bool as_server,
			struct err *err)
{
	struct reader r = reader_over(data, size_bytes);
	const char *start = as_server ? "GET /derp" : "HTTP/1.1 101";
	bool upgrade = false, connection = false;
	struct line line;

	if (!may_become(data, size_bytes, start))
		return err_set(err, EBADMSG,
			       "not what opens DERP: wanted "
			       "\"%s\"",
			       start);
	if (next_line(&r, &line) && !first_line_right(&line, as_server))
		return err_set(err, EBADMSG,
			       "not what opens DERP: first line "
			       "is not \"%s\"",
			       start);
	while (next_line(&r, &line)) {
		upgrade |= header_has(&line, "Upgrade", "DERP");
		connection |= header_has(&line, "Connection", "Upgrade");
		if (line.len)
			continue;
		if (upgrade && connection)
			return (int)r.at_bytes;
		return err_set(err, EBADMSG,
			       "HTTP without \"Upgrade: DERP\" "
			       "and \"Connection: Upgrade\"");
	}
	if (size_bytes > HTTP_MAX_BYTES)
		return err_set(err, EBADMSG,
			       "HTTP header does not end within "
			       "%d bytes",
			       HTTP_MAX_BYTES);
	return 0;
}
