// The allow list's reader against any text: it takes what it should, and never half of anything.
#include <doctest/doctest.h>
#include <rapidcheck.h>

#include "cluster/keys/allow_list.hpp"

namespace troupe::keys {
namespace {

rc::Gen<std::string> word_of(const std::string& letters, std::size_t most) {
  return rc::gen::map(rc::gen::pair(rc::gen::inRange<std::size_t>(1, most + 1),
                                    rc::gen::arbitrary<std::uint64_t>()),
                      [letters](const std::pair<std::size_t, std::uint64_t>& drawn) {
                        std::string out;
                        std::uint64_t state = drawn.second;
                        for (std::size_t i = 0; i < drawn.first; ++i) {
                          state = state * 6364136223846793005u + 1442695040888963407u;
                          out += letters[(state >> 33) % letters.size()];
                        }
                        return out;
                      });
}

// Never the empty key, whatever the case's size: small cases draw nothing but zeros.
public_key random_key() {
  std::uint64_t state = *rc::gen::arbitrary<std::uint64_t>();
  std::array<std::uint8_t, key_bytes> bytes{};
  for (std::uint8_t& byte : bytes) {
    state = state * 6364136223846793005u + 1442695040888963407u;
    byte = static_cast<std::uint8_t>(state >> 56);
  }
  bytes[0] |= 1;
  return public_key(bytes);
}

allowed_key random_entry() {
  allowed_key out;
  out.role = *rc::gen::element(key_role::node, key_role::client);
  out.name = *word_of("abXY09._-", 12);
  out.key = random_key();
  if (out.role == key_role::node && *rc::gen::arbitrary<bool>())
    out.address =
        "tcp://" + *word_of("abc.09", 8) + ":" + std::to_string(*rc::gen::inRange(1, 65536));
  return out;
}

void check_whole(const allow_list& list) {
  for (const allowed_key& one : list.all()) {
    RC_ASSERT(list.find(one.key) == &one);  // so no key is there twice
    RC_ASSERT(!one.name.empty());
    RC_ASSERT(!one.key.empty());
    if (!one.address.empty()) RC_ASSERT(list.at(one.address) == &one);
    for (const allowed_key& other : list.all())
      RC_ASSERT(other.name != one.name || other.role == one.role);
  }
}

TEST_CASE("what is written is read again") {
  CHECK(rc::check("lists", [] {
    allow_list list;
    std::string text;
    const int tries = *rc::gen::inRange(0, 12);
    for (int i = 0; i < tries; ++i) {
      const allowed_key entry = random_entry();
      const std::size_t before = list.all().size();
      const bool taken = list.add(entry).ok();
      RC_ASSERT(list.all().size() == before + taken);
      if (taken) text += line_of(entry);
    }
    check_whole(list);
    const auto read = parse_allow_list(text, "f");
    RC_ASSERT(read.ok());
    RC_ASSERT(read->all() == list.all());
  }));
}

TEST_CASE("any text is taken whole or refused with the lines of its mistakes") {
  const std::string pieces[] = {"node",
                                "client",
                                "a",
                                "b-1",
                                "client-x",
                                std::string(64, 'a'),
                                std::string(64, '0'),
                                std::string(63, 'b'),
                                std::string(64, 'C'),
                                "h:1",
                                "tcp://h:2",
                                "tcp://",
                                ":",
                                "#",
                                "\n",
                                "\r\n",
                                " ",
                                "\t",
                                std::string(1, '\0'),
                                "\xff\xfe",
                                "node a " + std::string(64, 'd')};
  CHECK(rc::check("texts", [&] {
    std::string text;
    const int count = *rc::gen::inRange(0, 40);
    for (int i = 0; i < count; ++i) {
      text += pieces[*rc::gen::inRange<std::size_t>(0, std::size(pieces))];
      if (*rc::gen::inRange(0, 3) > 0) text += ' ';
      if (*rc::gen::inRange(0, 8) == 0) text += static_cast<char>(*rc::gen::arbitrary<char>());
    }
    const auto read = parse_allow_list(text, "f");
    if (read) {
      check_whole(*read);
      std::string again;
      for (const allowed_key& one : read->all()) again += line_of(one);
      const auto second = parse_allow_list(again, "f");
      RC_ASSERT(second.ok());
      RC_ASSERT(second->all() == read->all());
    } else {
      RC_ASSERT(read.failure().message.starts_with("f:"));
    }
  }));
}

TEST_CASE("an entry that was added can be revoked, and the rest is as before") {
  CHECK(rc::check("changes", [] {
    std::string text = "# a list\n";
    const int count = *rc::gen::inRange(0, 6);
    for (int i = 0; i < count; ++i)
      if (const auto more = with_entry(text, "f", random_entry())) text = *more;
    const allowed_key entry = random_entry();
    const auto before = parse_allow_list(text, "f");
    RC_ASSERT(before.ok());
    const auto with = with_entry(text, "f", entry);
    allow_list model = *before;
    RC_ASSERT(with.ok() == model.add(entry).ok());
    if (!with) return;
    RC_ASSERT(parse_allow_list(*with, "f")->all() == model.all());
    const auto without = without_entry(*with, "f", entry.key.text());
    RC_ASSERT(without.ok());
    RC_ASSERT(*without == text);
  }));
}

}  // namespace
}  // namespace troupe::keys
