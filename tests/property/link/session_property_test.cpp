#include <doctest/doctest.h>
#include <rapidcheck.h>

#include <algorithm>

#include "tests/property/link/fake_network.hpp"

namespace troupe::link {
namespace {

session_settings small_settings() {
  session_settings settings;
  settings.coalesced_bytes_max = 600;
  settings.chunk_bytes = 1024;
  settings.window_bytes = settings.peer_window_bytes = 8192;
  settings.window_messages = settings.peer_window_messages = 64;
  settings.silence = settings.peer_silence = 400'000;
  settings.resend_after = 20'000;
  settings.resends_max = 40;
  return settings;
}

// Each number once; between the same two actors in order; contents as sent.
void check_delivery(network_side& from, network_side& to) {
  std::set<std::uint64_t> seen;
  std::map<std::string, std::uint64_t> newest;
  for (const auto& [at, message] : to.delivered) {
    const std::uint64_t number = message->correlation();
    RC_ASSERT(number >= 1 && number <= from.accepted.size());
    const std::string& flow = from.accepted[number - 1].flow;
    RC_ASSERT(seen.insert(number).second);
    RC_ASSERT(number > newest[flow]);
    newest[flow] = number;
    RC_ASSERT(message->target().actor() == flow);
    RC_ASSERT(message->sender().actor() == flow);
    const std::string& payload = message->count_flood().payload();
    for (std::size_t i = 0; i < payload.size(); ++i)
      RC_ASSERT(payload[i] == static_cast<char>(i * 7 + number - 1));
    if (from.ended_at != 0) RC_ASSERT(at <= from.ended_at);
  }
  for (const auto& message : from.undelivered) seen.insert(message->correlation());
  RC_ASSERT(seen.size() == from.accepted.size());
}

void submit_some(fake_network& net) {
  for (int i = 0; i < 2; ++i) {
    if (net.draw(4) != 0) continue;
    const std::uint64_t kind = net.draw(20);
    const std::size_t bytes = kind == 0 ? 1000 + net.draw(20'000) : net.draw(200);
    net.submit(i, bytes, std::string(1, static_cast<char>('a' + net.draw(3))));
  }
}

TEST_CASE("over a bad network everything accepted arrives once, in order") {
  CHECK(rc::check("loss, repetition, reordering, delay", [](std::uint64_t seed) {
    fake_network net(seed, small_settings());
    net.faults = {static_cast<unsigned>(net.draw(25)), static_cast<unsigned>(net.draw(25)),
                  static_cast<unsigned>(net.draw(25)), 100 + net.draw(20'000)};
    for (int n = 0; n < 400; ++n) {
      submit_some(net);
      net.step(50 + net.draw(1000));
    }
    net.faults = {0, 0, 0, 200};
    for (int n = 0; n < 4000 && !(net.side(0).core.idle() && net.side(1).core.idle()); ++n)
      net.step(1'000);
    RC_ASSERT(!net.side(0).core.ended());
    RC_ASSERT(!net.side(1).core.ended());
    RC_ASSERT(net.side(0).core.idle());
    RC_ASSERT(net.side(1).core.idle());
    check_delivery(net.side(0), net.side(1));
    check_delivery(net.side(1), net.side(0));
  }));
}

TEST_CASE("sides that stop for a while: delivered, or reported and never delivered later") {
  CHECK(rc::check("stops around the silence deadline", [](std::uint64_t seed) {
    fake_network net(seed, small_settings());
    net.faults = {static_cast<unsigned>(net.draw(5)), 0, 0, 100 + net.draw(3'000)};
    for (int n = 0; n < 800; ++n) {
      submit_some(net);
      if (net.draw(150) == 0)
        net.side(static_cast<int>(net.draw(2))).stopped_until = net.now() + net.draw(600'000);
      net.step(500 + net.draw(2000));
    }
    net.faults = {0, 0, 0, 200};
    for (int n = 0; n < 3000; ++n) net.step(1'000);
    for (int i = 0; i < 2; ++i) {
      network_side& side = net.side(i);
      RC_ASSERT(side.core.ended() || side.core.idle() || net.side(1 - i).core.ended());
    }
    RC_ASSERT(net.side(0).core.ended() == net.side(1).core.ended());
    check_delivery(net.side(0), net.side(1));
    check_delivery(net.side(1), net.side(0));
  }));
}

TEST_CASE("a rope gives the bytes that the whole serialisation has") {
  CHECK(rc::check("any piece of it", [](std::uint64_t seed, const std::vector<std::string>& parts) {
    std::mt19937_64 random(seed);
    auto message = std::make_shared<proto::Envelope>();
    message->mutable_target()->set_node("n");
    if (parts.size() % 2 == 0) {
      message->mutable_model_bytes()->set_data(std::string(random() % 30'000, 'd'));
      message->mutable_model_bytes()->set_digest(std::string(random() % 100, 'a'));
    } else {
      for (std::size_t i = 0; i < random() % 3000; ++i)
        message->mutable_prompt_prepared()->add_ids(static_cast<int>(random()));
    }
    const std::string whole = message->SerializeAsString();
    const envelope_rope rope(message);
    RC_ASSERT(rope.bytes() == whole.size());
    for (int i = 0; i < 10; ++i) {
      const std::size_t from = random() % (whole.size() + 1);
      std::vector<std::uint8_t> piece(random() % (whole.size() - from + 1));
      rope.copy(from, piece);
      RC_ASSERT(std::equal(piece.begin(), piece.end(),
                           reinterpret_cast<const std::uint8_t*>(whole.data()) + from));
    }
  }));
}

// Beside the queue its obvious twin: one string of all bytes, and where each envelope begins.
TEST_CASE("a queue of packed envelopes gives what one long string would") {
  CHECK(rc::check("runs, looks and drops", [](std::uint64_t seed) {
    std::mt19937_64 random(seed);
    packed_queue queue;
    std::string all;
    std::vector<std::uint64_t> begins, numbers;
    std::uint64_t next_number = 1, dropped = 0, emptied_bytes = 0;
    for (int step = 0; step < 60; ++step) {
      packed_bytes run;
      const std::uint64_t first = next_number;
      for (std::uint64_t i = 0; i < random() % 5; ++i) {
        auto message = std::make_shared<proto::Envelope>();
        message->set_correlation(next_number);
        message->mutable_count_flood()->set_payload(std::string(random() % 40, 'p'));
        const packed_bytes one = run_of(message, message->ByteSizeLong(), 1000).packed;
        begins.push_back(all.size());
        numbers.push_back(next_number++);
        run.insert(run.end(), one.begin(), one.end());
        all.append(one.begin(), one.end());
      }
      queue.append(std::move(run), first);
      next_number += random() % 3;  // a large one in between
      RC_ASSERT(queue.end() == all.size());
      if (begins.empty()) continue;
      const std::size_t kept = static_cast<std::size_t>(
          std::lower_bound(begins.begin(), begins.end(), dropped) - begins.begin());
      if (kept == begins.size()) continue;
      const std::size_t from = kept + random() % (begins.size() - kept);
      const std::uint64_t bytes_max = random() % 300;
      const auto count_max = static_cast<std::uint32_t>(random() % 6);
      std::size_t last = from;
      const auto end_of = [&](std::size_t i) {
        return i + 1 < begins.size() ? begins[i + 1] : all.size();
      };
      while (last < begins.size() && last - from < count_max &&
             end_of(last) - begins[from] <= bytes_max)
        ++last;
      const auto reach = queue.measure(begins[from], bytes_max, count_max);
      RC_ASSERT(reach.count == last - from);
      RC_ASSERT(reach.bytes == (last == from ? 0 : end_of(last - 1) - begins[from]));
      std::string copied(reach.bytes, '\0');
      queue.copy(begins[from], {reinterpret_cast<std::uint8_t*>(copied.data()), copied.size()});
      RC_ASSERT(copied == all.substr(begins[from], reach.bytes));
      std::vector<numbered_envelope> listed;
      queue.list(listed);
      RC_ASSERT(listed.size() == begins.size() - kept);
      const auto oldest = oldest_of(listed, 3);
      RC_ASSERT(oldest.size() == std::min<std::size_t>(3, listed.size()));
      for (std::size_t i = 0; i < oldest.size(); ++i)
        RC_ASSERT(oldest[i]->correlation() == numbers[kept + i]);
      if (random() % 3 != 0) continue;
      std::vector<packed_bytes> emptied;
      queue.drop_before(dropped = begins[from], emptied);
      for (const auto& one : emptied) emptied_bytes += one.size();
      RC_ASSERT(emptied_bytes <= dropped);
    }
    std::vector<packed_bytes> emptied;
    queue.drop_before(all.size(), emptied);
    for (const auto& one : emptied) emptied_bytes += one.size();
    RC_ASSERT(emptied_bytes == all.size());
    RC_ASSERT(queue.empty());
  }));
}

TEST_CASE("an envelope's flow is the same before and after it was packed") {
  CHECK(rc::check("any two actors", [](std::uint64_t seed, bool named, std::uint64_t correlation) {
    std::mt19937_64 random(seed);
    const auto name = [&] {
      return std::string(random() % 200, static_cast<char>('a' + random() % 3));
    };
    proto::Envelope message;
    if (named) message.mutable_sender()->set_node(name());
    if (random() % 4 != 0) message.mutable_sender()->set_actor(name());
    if (random() % 4 != 0) message.mutable_target()->set_actor(name());
    message.set_correlation(correlation);
    const std::string bytes = message.SerializeAsString();
    RC_ASSERT(flow_of(message) ==
              flow_of({reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size()}));
  }));
}

TEST_CASE("arbitrary bytes are no frame, and break nothing") {
  CHECK(rc::check("random and damaged frames", [](std::vector<std::uint8_t> bytes, bool headed,
                                                  std::uint8_t kind) {
    if (headed) {
      frame_header header;
      header.kind = static_cast<frame_kind>(1 + kind % 8);
      header.sequence = sequenced(header.kind);
      header.body_bytes = header.raw_bytes = static_cast<std::uint32_t>(bytes.size());
      std::vector<std::uint8_t> framed(header_bytes);
      encode_header(header, framed.data());
      framed.insert(framed.end(), bytes.begin(), bytes.end());
      seal_frame(framed);
      bytes = std::move(framed);
    }
    frame_header header;
    if (decode_header(bytes, header) != frame_fault::none) return;
    const std::span<const std::uint8_t> body(bytes.data() + header_bytes, header.body_bytes);
    std::vector<envelope_ptr> out;
    std::uint64_t unreadable = 0;
    if (!read_envelopes(body, out, unreadable)) RC_ASSERT(out.empty());
    chunk_prefix prefix;
    if (decode_chunk_prefix(body, prefix))
      RC_ASSERT(prefix.offset + body.size() - chunk_prefix_bytes <= prefix.message_bytes);
  }));
}

}  // namespace
}  // namespace troupe::link
