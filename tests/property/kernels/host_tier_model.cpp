// The host tier beside a plain model of it, and both tiers over a memory that is played: whatever
// is found has the content of its whole text, never another's.
#include <doctest/doctest.h>
#include <rapidcheck.h>

#include <algorithm>
#include <map>
#include <set>

#include "kernels/kv/tiered_blocks.hpp"
#include "kernels/sampler/philox.hpp"

using namespace troupe::kernels;

namespace {

struct dice {
  std::uint64_t seed;
  std::uint32_t thrown = 0;
  std::uint32_t below(std::size_t n) {
    return static_cast<std::uint32_t>(uniform_draw(seed, thrown++) * static_cast<double>(n));
  }
};

dice any_dice() {
  return {*rc::gen::noShrink(rc::gen::resize(100, rc::gen::arbitrary<std::uint64_t>()))};
}

using content = std::vector<token_id>;  // all tokens up to a block's end

// Few names, so that different contents collide.
block_name name_of(const content& tokens, bool colliding) {
  std::uint64_t name = 7;
  for (const token_id id : tokens) name = name * 31 + static_cast<std::uint64_t>(id);
  return colliding ? name % 7 : name;
}

content upto(const content& text, std::size_t block) {
  return {text.begin(), text.begin() + static_cast<std::ptrdiff_t>(16 * block + 16)};
}

bool begins(const content& whole, const content& with) {
  return whole.size() >= with.size() && std::equal(with.begin(), with.end(), whole.begin());
}

content random_content(dice& any) {
  content tokens;
  for (std::uint32_t blocks = 1 + any.below(4); blocks > 0; --blocks)
    tokens.insert(tokens.end(), 16, static_cast<token_id>(any.below(2)));
  return tokens;
}

// What should be true of the tier, written without cleverness.
struct plain_tier {
  struct one {
    std::optional<block_id> block;
    std::uint64_t out_since = 0;  // 0: no place
  };
  std::map<content, one> entries;
  std::uint32_t places = 0;
  std::uint64_t clock = 0, dropped = 0;

  std::uint32_t used() const {
    return static_cast<std::uint32_t>(std::count_if(
        entries.begin(), entries.end(), [](const auto& e) { return e.second.out_since > 0; }));
  }
  void drop(const content& from) {
    dropped += std::erase_if(entries, [&](const auto& e) { return begins(e.first, from); });
  }
  bool followed(const content& by) const {
    return std::any_of(entries.begin(), entries.end(), [&](const auto& e) {
      return e.first.size() > by.size() && begins(e.first, by);
    });
  }
  void name(const content& what, block_id id, bool colliding) {
    for (const auto& [other, e] : entries)
      if (other != what && name_of(other, colliding) == name_of(what, colliding)) {
        drop(content(other));
        break;
      }
    entries[what].block = id;
  }
  void leave(const content& what) {
    one& e = entries.at(what);
    e.block.reset();
    if (e.out_since == 0)
      drop(what);
    else
      e.out_since = ++clock;
  }
  void assign(const content& what) {
    if (used() == places) {
      const auto oldest =
          std::min_element(entries.begin(), entries.end(), [](const auto& a, const auto& b) {
            return a.second.out_since - 1 < b.second.out_since - 1;  // 0 comes last
          });
      if (oldest->second.block)
        oldest->second.out_since = 0;
      else
        drop(content(oldest->first));
    }
    entries.at(what).out_since = ++clock;
  }
};

class pair_of_tiers {
 public:
  pair_of_tiers(std::uint32_t places, bool colliding)
      : tier_(places, blocks), colliding_(colliding) {
    plain_.places = places;
    for (block_id id = 0; id < blocks; ++id) free_.insert(id);
  }

  void act(dice& any) {
    const content what = random_content(any);
    const auto known = plain_.entries.find(what);
    const bool here = known != plain_.entries.end() && known->second.block;
    switch (any.below(5)) {
      case 0:
      case 1:
        if (!here) name(what);
        break;
      case 2:
        if (here && !has_child_in_pool(what)) leave(what);
        break;
      case 3:
        if (here && known->second.out_since == 0) assign(what);
        break;
      default:
        if (known != plain_.entries.end()) forget(what);
    }
  }

  void check() const {
    RC_ASSERT(tier_.used() == plain_.used());
    RC_ASSERT(tier_.dropped() == plain_.dropped);
    std::set<host_place> places;
    for (const auto& [what, e] : plain_.entries) {
      const host_tier::entry* found = find(what);
      RC_ASSERT(found != nullptr);
      RC_ASSERT(found->block == e.block);
      RC_ASSERT(found->place.has_value() == (e.out_since > 0));
      if (found->place) RC_ASSERT(places.insert(*found->place).second);
    }
    for (std::uint32_t text = 0; text < 16; ++text) {  // what is not there is not found
      content what;
      for (int bit = 0; bit < 4; ++bit) {
        what.insert(what.end(), 16, static_cast<token_id>(text >> bit & 1));
        RC_ASSERT((find(what) != nullptr) == plain_.entries.contains(what));
      }
    }
    const std::vector<block_name> names = tier_.names(100);
    for (const auto& [what, e] : plain_.entries)
      if (!e.block && !plain_.followed(what))
        RC_ASSERT(std::count(names.begin(), names.end(), name_of(what, colliding_)) == 1);
  }

 private:
  static constexpr std::uint32_t blocks = 12;

  const host_tier::entry* find(const content& what) const {
    const host_tier::entry* at = nullptr;
    for (std::size_t b = 0; b < what.size() / 16; ++b) {
      const content part = upto(what, b);
      at = tier_.find(name_of(part, colliding_), at, std::span(part).last<16>());
      if (at == nullptr) return nullptr;
    }
    return at;
  }
  bool has_child_in_pool(const content& what) const {
    return std::any_of(plain_.entries.begin(), plain_.entries.end(), [&](const auto& e) {
      return e.second.block && e.first.size() > what.size() && begins(e.first, what);
    });
  }
  // Its beginning has to be in the pool, and its name has to be free there.
  void name(const content& what) {
    std::optional<block_id> parent;
    if (what.size() > 16) {
      const auto before = plain_.entries.find(upto(what, what.size() / 16 - 2));
      if (before == plain_.entries.end() || !before->second.block) return;
      parent = before->second.block;
    }
    for (const auto& [other, e] : plain_.entries)
      if (e.block && name_of(other, colliding_) == name_of(what, colliding_)) return;
    if (free_.empty()) return;
    const block_id id = *free_.begin();
    free_.erase(id);
    if (const auto known = plain_.entries.find(what); known != plain_.entries.end()) {
      known->second.out_since = ++plain_.clock;  // as it is brought in
      tier_.use(*find(what));
    }
    tier_.name(id, name_of(what, colliding_), parent, std::span(what).last<16>());
    plain_.name(what, id, colliding_);
  }
  void leave(const content& what) {
    const block_id id = *plain_.entries.at(what).block;
    free_.insert(id);
    tier_.leave(id);
    plain_.leave(what);
  }
  void assign(const content& what) {
    const auto given = tier_.assign(*plain_.entries.at(what).block);
    RC_ASSERT(given.has_value() == (plain_.places > 0));
    if (!given) return;
    const auto before = plain_.entries;
    plain_.assign(what);
    std::optional<block_id> lost;
    for (const auto& [other, e] : before)
      if (e.block && e.out_since > 0 && plain_.entries.at(other).out_since == 0) lost = e.block;
    RC_ASSERT(given->instead_of == lost);
  }
  void forget(const content& what) {
    const bool followed = plain_.followed(what);
    RC_ASSERT(tier_.forget(*find(what)) == !followed);
    if (followed) return;
    if (const auto id = plain_.entries.at(what).block) free_.insert(*id);
    plain_.entries.erase(what);
  }

  host_tier tier_;
  plain_tier plain_;
  std::set<block_id> free_;
  bool colliding_;
};

// Blocks and places as an engine has them: copies are done as they were ordered, late.
class played_memory {
 public:
  played_memory(std::uint32_t blocks, std::uint32_t places) : blocks_(blocks), places_(places) {}
  void copy(const std::vector<kv_copy_order>& orders) {
    for (const kv_copy_order& one : orders) {
      content &here = blocks_.at(one.block), &there = places_.at(one.place);
      (one.brings ? here : there) = one.brings ? there : here;
    }
  }
  content& operator[](block_id id) { return blocks_.at(id); }

 private:
  std::vector<content> blocks_, places_;
};

struct text_in_use {
  content tokens;
  std::vector<block_id> blocks;
  std::size_t named = 0, computed = 0;  // blocks
  bool naming = true;
};

class user_of_both {
 public:
  user_of_both(dice& any, std::uint32_t blocks, std::uint32_t places, bool colliding)
      : any_(any), kv_(blocks, places), memory_(blocks, places), colliding_(colliding) {}

  void act() {
    kv_.set_room(any_.below(3) == 0 ? any_.below(4) : 64);
    if (any_.below(8) == 0) {
      forget(random_content(any_));
    } else if (texts_.size() < 3 && any_.below(2) == 0) {
      text_in_use fresh;
      fresh.tokens = random_content(any_);
      start(std::move(fresh));
    } else if (!texts_.empty()) {
      text_in_use& t = texts_[any_.below(texts_.size())];
      if (any_.below(4) == 0)
        end(t);
      else
        go_on(t);
    }
    if (any_.below(2) == 0) kv_.write_behind();
    memory_.copy(kv_.take_orders());
    compute();
    check();
  }
  const tiered_blocks& kv() const { return kv_; }

 private:
  std::optional<block_id> parent(const text_in_use& t) const {
    return t.named == 0 ? std::nullopt : std::optional(t.blocks[t.named - 1]);
  }
  void start(text_in_use t) {
    while (t.named < t.tokens.size() / 16) {
      const content part = upto(t.tokens, t.named);
      const auto found = kv_.find(name_of(part, colliding_), parent(t), std::span(part).last<16>());
      if (!found) break;
      kv_.share(*found);
      t.blocks.push_back(*found);
      t.computed = ++t.named;
    }
    const std::uint32_t there = kv_.available();
    const bool fits = kv_.extend(t.blocks, t.tokens.size());
    RC_ASSERT(fits == (t.tokens.size() / 16 - t.named <= there));
    if (!fits) return kv_.release_all(t.blocks);
    restore(t);
    texts_.push_back(std::move(t));
  }
  void restore(text_in_use& t) {
    while (t.naming && t.computed == t.named && t.named < t.tokens.size() / 16) {
      const content part = upto(t.tokens, t.named);
      if (!kv_.restore(t.blocks[t.named], name_of(part, colliding_), parent(t),
                       std::span(part).last<16>()))
        return;
      t.computed = ++t.named;
    }
  }
  void go_on(text_in_use& t) {
    restore(t);
    if (t.computed < t.blocks.size()) to_compute_ = &t;
  }
  // A step: it writes, and what is full gets its name.
  void compute() {
    if (text_in_use* const t = std::exchange(to_compute_, nullptr)) {
      for (std::uint32_t some = 1 + any_.below(4); some > 0 && t->computed < t->blocks.size();
           --some, ++t->computed)
        memory_[t->blocks[t->computed]] = upto(t->tokens, t->computed);
      while (t->naming && t->named < t->computed) {
        const content part = upto(t->tokens, t->named);
        const auto used = kv_.publish(t->blocks[t->named], name_of(part, colliding_), parent(*t),
                                      std::span(part).last<16>());
        t->naming = used.has_value();
        if (used) t->blocks[t->named++] = *used;
      }
    }
  }
  void end(text_in_use& t) {
    kv_.release_all(t.blocks);
    texts_.erase(texts_.begin() + (&t - texts_.data()));
  }
  void forget(const content& text) {
    std::vector<block_name> names;
    for (std::size_t b = 0; b < text.size() / 16; ++b)
      names.push_back(name_of(upto(text, b), colliding_));
    const auto [gone, left] = kv_.forget(names, text);
    const auto again = kv_.forget(names, text);
    RC_ASSERT(again == std::make_pair(0u, left));
    RC_ASSERT(gone + left <= names.size());
  }
  // Every block that counts as computed has the content of its whole text.
  void check() {
    std::map<block_id, std::uint32_t> users;
    for (text_in_use& t : texts_) {
      for (const block_id id : t.blocks) ++users[id];
      for (std::size_t b = 0; b < t.computed; ++b)
        RC_ASSERT(memory_[t.blocks[b]] == upto(t.tokens, b));
    }
    for (block_id id = 0; id < kv_.size(); ++id)
      RC_ASSERT(kv_.users(id) == (users.contains(id) ? users[id] : 0));
    RC_ASSERT(kv_.available() + users.size() == kv_.size());
    std::uint32_t ready = 0;
    for (block_id id = 0; id < kv_.size(); ++id)
      ready += !users.contains(id) && kv_.host().is_out(id) ? 1 : 0;
    RC_ASSERT(kv_.ready_count() == ready);
    RC_ASSERT(kv_.names(5).size() <= 5u);
  }

  dice& any_;
  tiered_blocks kv_;
  played_memory memory_;
  std::vector<text_in_use> texts_;
  text_in_use* to_compute_ = nullptr;
  bool colliding_;
};

}  // namespace

TEST_CASE("host tier: entries, places and what is dropped are those of a plain model") {
  CHECK(rc::check("random use", [] {
    dice any = any_dice();
    pair_of_tiers tiers(any.below(7), any.below(2) == 0);
    for (int i = 0; i < 150; ++i) {
      tiers.act(any);
      tiers.check();
    }
  }));
}

TEST_CASE("both tiers: what is found or brought back has the content of its whole text") {
  std::uint64_t restored = 0, dropped = 0;
  CHECK(rc::check("played memory", [&] {
    dice any = any_dice();
    const std::uint32_t blocks = 4 + any.below(4);
    user_of_both user(any, blocks, any.below(14), any.below(3) == 0);
    for (int i = 0; i < 200; ++i) user.act();
    restored += user.kv().count().restored;
    dropped += user.kv().host().dropped();
  }));
  CHECK(restored > 200);
  CHECK(dropped > 200);
}
