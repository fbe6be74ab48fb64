// The block pool beside a plain model of it: random sequences take, publish, share and release
// blocks as an engine's owner does; after every call users, reusable and free blocks must be those
// of the model.
#include <doctest/doctest.h>
#include <rapidcheck.h>

#include <algorithm>
#include <list>
#include <map>
#include <set>

#include "kernels/kv/block_pool.hpp"
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

using content = std::vector<token_id>;  // all tokens up to a block's end

struct chain {
  std::vector<block_id> blocks;
  content tokens;         // 16 for each block
  std::size_t named = 0;  // leading blocks that are published
  bool naming = true;
};

// What should be true, written without cleverness.
struct pool_model {
  std::map<block_id, content> named;
  std::list<block_id> reusable;  // oldest first
};

// Few names, so that different contents collide.
block_name name_of(const content& tokens, bool colliding) {
  std::uint64_t name = 7;
  for (const token_id id : tokens) name = name * 31 + static_cast<std::uint64_t>(id);
  return colliding ? name % 5 : name;
}

block_tokens last_of(const content& tokens) {
  return std::span(tokens).last<kv_block_tokens>();
}

class pair_of_pools {
 public:
  pair_of_pools(std::uint32_t blocks, bool colliding) : pool_(blocks), colliding_(colliding) {}

  void start(chain& c, const content& tokens) {
    c.tokens = tokens;
    for (std::size_t i = 0; i < tokens.size() / 16; ++i) {
      const content upto(tokens.begin(), tokens.begin() + static_cast<std::ptrdiff_t>(16 * i + 16));
      const auto found = pool_.find(name_of(upto, colliding_), parent(c, i), last_of(upto));
      if (!found) break;
      RC_ASSERT(model_.named.at(*found) == upto);  // never other tokens, whatever the name
      pool_.share(*found);
      model_.reusable.remove(*found);
      c.blocks.push_back(*found);
      ++c.named;
    }
    const std::uint32_t missing = static_cast<std::uint32_t>(tokens.size() / 16 - c.blocks.size());
    const std::uint32_t there = pool_.available();
    const std::uint32_t evicted = missing > pool_.free_count() ? missing - pool_.free_count() : 0;
    const bool fits = pool_.extend(c.blocks, tokens.size());
    RC_ASSERT(fits == (missing <= there));
    if (fits) {
      for (std::uint32_t i = 0; i < evicted; ++i) {  // the ones released first
        model_.named.erase(model_.reusable.front());
        model_.reusable.pop_front();
      }
    }
    if (!fits) end(c);
  }

  void publish_next(chain& c) {
    if (!c.naming || c.named == c.blocks.size()) return;
    const content upto(c.tokens.begin(),
                       c.tokens.begin() + static_cast<std::ptrdiff_t>(16 * c.named + 16));
    const auto known = std::find_if(model_.named.begin(), model_.named.end(),
                                    [&](const auto& entry) { return entry.second == upto; });
    const block_id own = c.blocks[c.named];
    const auto used =
        pool_.publish(own, name_of(upto, colliding_), parent(c, c.named), last_of(upto));
    if (!used) {
      RC_ASSERT(colliding_);
      c.naming = false;
      return;
    }
    if (known != model_.named.end()) {
      RC_ASSERT(*used == known->first);
      model_.reusable.remove(*used);
    } else {
      RC_ASSERT(*used == own);
      model_.named[own] = upto;
    }
    c.blocks[c.named++] = *used;
  }

  void end(chain& c) {
    std::vector<block_id> held = c.blocks;
    pool_.release_all(c.blocks);
    for (auto id = held.rbegin(); id != held.rend(); ++id)
      if (pool_.users(*id) == 0 && model_.named.contains(*id)) model_.reusable.push_back(*id);
    c = {};
  }

  void forget_some(dice& any) {
    if (model_.reusable.empty()) return;
    auto at = model_.reusable.begin();
    std::advance(at, any.below(model_.reusable.size()));
    const content& own = model_.named.at(*at);
    const bool followed =
        std::any_of(model_.named.begin(), model_.named.end(), [&](const auto& entry) {
          return entry.second.size() == own.size() + 16 &&
                 std::equal(own.begin(), own.end(), entry.second.begin());
        });
    RC_ASSERT(pool_.forget(*at) == !followed);
    if (followed) return;
    model_.named.erase(*at);
    model_.reusable.erase(at);
  }

  void check(const std::vector<chain>& chains) const {
    std::map<block_id, std::uint32_t> users;
    for (const chain& c : chains)
      for (const block_id id : c.blocks) ++users[id];
    for (block_id id = 0; id < pool_.size(); ++id)
      RC_ASSERT(pool_.users(id) == (users.contains(id) ? users[id] : 0));
    RC_ASSERT(pool_.reusable_count() == model_.reusable.size());
    RC_ASSERT(pool_.named_count() == model_.named.size());
    RC_ASSERT(pool_.free_count() + pool_.reusable_count() + users.size() == pool_.size());
    RC_ASSERT(pool_.names(1000).size() <= pool_.named_count());
    for (const chain& c : chains)  // what a chain holds under a name is still its own
      for (std::size_t i = 0; i < c.named; ++i)
        RC_ASSERT(
            model_.named.at(c.blocks[i]) ==
            content(c.tokens.begin(), c.tokens.begin() + static_cast<std::ptrdiff_t>(16 * i + 16)));
  }

 private:
  std::optional<block_id> parent(const chain& c, std::size_t i) const {
    return i == 0 ? std::nullopt : std::optional(c.blocks[i - 1]);
  }
  block_pool pool_;
  pool_model model_;
  bool colliding_;
};

// Contents that share beginnings.
content random_content(dice& any) {
  content tokens;
  for (std::uint32_t blocks = 1 + any.below(5); blocks > 0; --blocks)
    tokens.insert(tokens.end(), 16, static_cast<token_id>(any.below(2)));
  return tokens;
}

}  // namespace

TEST_CASE("block pool: users, names and what is reusable are those of a plain model") {
  CHECK(rc::check("random use", [] {
    dice any{*rc::gen::noShrink(rc::gen::resize(100, rc::gen::arbitrary<std::uint64_t>()))};
    pair_of_pools pools(4 + any.below(14), any.below(2) == 0);
    std::vector<chain> chains(1 + any.below(4));
    for (int i = 0; i < 120; ++i) {
      chain& c = chains[any.below(chains.size())];
      const std::uint32_t choice = any.below(8);
      if (choice == 0)
        pools.forget_some(any);
      else if (c.blocks.empty())
        pools.start(c, random_content(any));
      else if (choice < 6)
        pools.publish_next(c);
      else
        pools.end(c);
      pools.check(chains);
    }
  }));
}

TEST_CASE("block pool: memory wanted takes the reusable blocks that were released first") {
  block_pool pool(4);
  const content old(32, 1), young(32, 2);
  std::vector<block_id> a, b, c;
  for (auto* both : {&a, &b}) {
    const content& tokens = both == &a ? old : young;
    REQUIRE(pool.extend(*both, 32));
    for (std::size_t i = 0; i < 2; ++i)
      REQUIRE(pool.publish((*both)[i], 10 * static_cast<block_name>(tokens[0]) + i,
                           i == 0 ? std::nullopt : std::optional((*both)[0]),
                           std::span(tokens).first<16>()));
  }
  const block_id first_of_old = a[0];
  pool.release_all(a);
  pool.release_all(b);
  CHECK(pool.available() == 4);
  REQUIRE(pool.extend(c, 16));
  CHECK_FALSE(pool.find(11, first_of_old, std::span(old).first<16>()));  // the end of the older one
  CHECK(pool.find(10, std::nullopt, std::span(old).first<16>()) == first_of_old);
  CHECK(pool.find(20, std::nullopt, std::span(young).first<16>()));
  CHECK_FALSE(pool.find(20, std::nullopt, std::span(old).first<16>()));  // a name is not enough
}
