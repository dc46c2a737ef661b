/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The dpdk-bar-lease authors
 *
 * Rules of who may lease what: their text, and which one counts.
 */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bar_lessor_private.h"

struct reader {
	const char *text;
	const char *at;
	char *error;
};

static const struct bar_lease_rule everybody = {
	.uid = BAR_LEASE_ANY,
	.gid = BAR_LEASE_ANY,
	.last = BAR_LEASE_ANY,
	.max_slices = BAR_LEASE_ANY,
	.max_peers = BAR_LEASE_ANY,
};

static int
complain(const struct reader *reader, const char *cause)
{
	size_t length = strcspn(reader->at, ":;");

	snprintf(reader->error, BAR_LEASE_ERROR_SIZE, "position %zu, '%.*s': %s",
		 (size_t)(reader->at - reader->text) + 1, (int)RTE_MIN(length, 24U), reader->at,
		 cause);
	return -EINVAL;
}

/* At the end of a part of a rule. */
static bool
is_end(char c)
{
	return c == '\0' || c == ':' || c == ';';
}

static int
read_number(struct reader *reader, uint32_t *number)
{
	uint64_t value = 0;
	const char *c;

	for (c = reader->at; isdigit((unsigned char)*c) && value < BAR_LEASE_ANY; c++)
		value = value * 10 + (uint64_t)(*c - '0');
	if (value >= BAR_LEASE_ANY)
		return complain(reader, "too large");
	if (c == reader->at || (!is_end(*c) && *c != '-'))
		return complain(reader, "not a number");
	reader->at = c;
	*number = (uint32_t)value;
	return 0;
}

static int
read_value(struct reader *reader, uint32_t *number)
{
	if (reader->at[0] == '*' && is_end(reader->at[1])) {
		reader->at++;
		*number = BAR_LEASE_ANY;
		return 0;
	}
	return read_number(reader, number);
}

static int
read_slices(struct reader *reader, struct bar_lease_rule *rule)
{
	const char *start = reader->at;
	int ret;

	rule->first = 0;
	ret = read_value(reader, &rule->last);
	if (ret != 0 || rule->last == BAR_LEASE_ANY)
		return ret;
	rule->first = rule->last;
	if (*reader->at == '-') {
		reader->at++;
		ret = read_number(reader, &rule->last);
	}
	if (ret == 0 && rule->last < rule->first) {
		reader->at = start;
		return complain(reader, "the last slice is before the first");
	}
	return ret;
}

/* Whether the text goes on with this word, which is then read. */
static bool
read_word(struct reader *reader, const char *word)
{
	size_t length = strlen(word);

	if (strncmp(reader->at, word, length) != 0)
		return false;
	reader->at += length;
	if (*reader->at == '=')
		reader->at++;
	return true;
}

static int
read_part(struct reader *reader, struct bar_lease_rule *rule)
{
	int ret = 0;

	if (read_word(reader, "uid"))
		ret = read_value(reader, &rule->uid);
	else if (read_word(reader, "gid"))
		ret = read_value(reader, &rule->gid);
	else if (read_word(reader, "slices"))
		ret = read_slices(reader, rule);
	else if (read_word(reader, "max"))
		ret = read_value(reader, &rule->max_slices);
	else if (read_word(reader, "peers"))
		ret = read_value(reader, &rule->max_peers);
	else if (read_word(reader, "deny"))
		rule->deny = true;
	else
		return complain(reader, "none of uid, gid, slices, max, peers, deny");
	if (ret == 0 && !is_end(*reader->at))
		return complain(reader, "more than one value");
	return ret;
}

int
bar_lease_parse_rules(const char *text, struct bar_lease_rule *rules,
		      char error[BAR_LEASE_ERROR_SIZE])
{
	struct reader reader = { .text = text, .at = text, .error = error };
	unsigned int count = 0;
	int ret;

	for (;;) {
		if (count == BAR_LEASE_MAX_RULES)
			return complain(&reader, "one rule too many");
		rules[count] = everybody;
		do {
			ret = read_part(&reader, &rules[count]);
			if (ret != 0)
				return ret;
		} while (*reader.at != '\0' && *reader.at++ == ':');
		count++;
		if (reader.at[-1] != ';')
			return (int)count;
	}
}

static int
format_part(char *text, size_t size, const char *name, uint32_t value)
{
	return value == BAR_LEASE_ANY ? 0 : snprintf(text, size, ":%s=%u", name, value);
}

int
bar_lease_format_rule(const struct bar_lease_rule *rule, char *text, size_t size)
{
	char all[128]; /* of the longest rule there is */
	int at;

	if (rule->uid == BAR_LEASE_ANY)
		at = snprintf(all, sizeof(all), "uid=*");
	else
		at = snprintf(all, sizeof(all), "uid=%u", rule->uid);
	at += format_part(all + at, sizeof(all) - (size_t)at, "gid", rule->gid);
	if (rule->last != BAR_LEASE_ANY)
		at += snprintf(all + at, sizeof(all) - (size_t)at, ":slices=%u-%u", rule->first,
			       rule->last);
	at += format_part(all + at, sizeof(all) - (size_t)at, "max", rule->max_slices);
	format_part(all + at, sizeof(all) - (size_t)at, "peers", rule->max_peers);
	return snprintf(text, size, "%s%s", all, rule->deny ? ":deny" : "");
}

static bool
is_about(const struct bar_lease_rule *rule, const struct peer *peer)
{
	return (rule->uid == BAR_LEASE_ANY || rule->uid == peer->uid) &&
	       (rule->gid == BAR_LEASE_ANY || rule->gid == peer->gid);
}

const struct bar_lease_rule *
policy_of_peer(const struct peer *peer)
{
	const struct bar_lessor *lessor = peer->lessor;
	const struct bar_lease_rule *rule;

	for (rule = lessor->rules; rule < lessor->rules + lessor->nb_rules; rule++) {
		if (!is_about(rule, peer))
			continue;
		if (!rule->deny)
			return rule;
		if (rule->first == 0 && rule->last >= lessor->nb_slots - 1)
			return NULL;
	}
	return NULL;
}

const struct bar_lease_rule *
policy_of_slice(const struct peer *peer, unsigned int slice)
{
	const struct bar_lessor *lessor = peer->lessor;
	const struct bar_lease_rule *rule;

	for (rule = lessor->rules; rule < lessor->rules + lessor->nb_rules; rule++)
		if (is_about(rule, peer) && rule->first <= slice && slice <= rule->last)
			return rule->deny ? NULL : rule;
	return NULL;
}

void
policy_set(struct bar_lessor *lessor, const struct bar_lease_rule *rules, unsigned int nb_rules)
{
	if (rules == NULL) {
		rules = &everybody;
		nb_rules = 1;
	}
	memcpy(lessor->rules, rules, nb_rules * sizeof(rules[0]));
	lessor->nb_rules = nb_rules;
}
