// Peers that are not well: strangers who send rubbish, processes that are killed, processes that
// are stopped.
#include <doctest/doctest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <thread>
#include <zmq.hpp>

#include "cluster/link/frame.hpp"
#include "proto/link.pb.h"
#include "tests/unit/link/observed_endpoint.hpp"

namespace troupe::link {
namespace {

using namespace std::chrono_literals;

struct stranger {
  zmq::context_t context{1};
  zmq::socket_t socket{context, zmq::socket_type::dealer};
  std::uint64_t session = 0;  // the endpoint's number, once welcomed

  explicit stranger(const std::string& address) {
    socket.set(zmq::sockopt::linger, 0);
    socket.set(zmq::sockopt::rcvtimeo, 5000);
    socket.connect(address);
  }
  void send(frame_header header, const std::string& body) {
    std::string frame = std::string(header_bytes, '\0') + body;
    header.body_bytes = static_cast<std::uint32_t>(body.size());
    if (!(header.flags & flag_compressed)) header.raw_bytes = header.body_bytes;
    const auto bytes = reinterpret_cast<std::uint8_t*>(frame.data());
    encode_header(header, bytes);
    seal_frame({bytes, frame.size()});
    send(frame);
  }
  void send(const std::string& bytes) { socket.send(zmq::buffer(bytes)); }
  std::pair<frame_header, std::string> receive(frame_kind kind) {
    for (;;) {
      zmq::message_t frame;
      if (!socket.recv(frame)) return {};
      frame_header header;
      const std::span<const std::uint8_t> bytes(frame.data<std::uint8_t>(), frame.size());
      REQUIRE(decode_header(bytes, header) == frame_fault::none);
      if (header.kind == kind)
        return {header, std::string(frame.data<char>() + header_bytes, header.body_bytes)};
    }
  }
  static std::string hello(const std::string& name, std::uint32_t version = protocol_version) {
    proto::LinkHello hello;
    hello.set_protocol_version(version);
    hello.set_name(name);
    hello.set_incarnation(1);
    hello.set_session(42);
    hello.set_silence_ms(60'000);
    hello.set_credit_bytes(1 << 20);
    hello.set_credit_messages(1000);
    return hello.SerializeAsString();
  }
  void join(const std::string& name) {
    frame_header header;
    header.kind = frame_kind::hello;
    header.sent_at = 1;
    send(header, hello(name));
    const auto [got, body] = receive(frame_kind::welcome);
    proto::LinkWelcome welcome;
    REQUIRE(welcome.ParseFromString(body));
    CHECK(welcome.answers() == 42);
    session = welcome.hello().session();
    heard = got.sent_at;
    send(in_session(frame_kind::acknowledgement, 0), "");
  }
  frame_header in_session(frame_kind kind, std::uint64_t sequence) const {
    frame_header header;
    header.kind = kind;
    header.session = session;
    header.sequence = sequence;
    header.credit_bytes = 1 << 20;
    header.credit_messages = 1000;
    header.sent_at = 2;
    header.heard_at = heard;
    return header;
  }
  std::uint64_t heard = 0;
};

std::string one_envelope(std::uint64_t number) {
  const std::string bytes = envelope_to("n", number)->SerializeAsString();
  std::string out(4, '\0');
  encode_length(static_cast<std::uint32_t>(bytes.size()),
                reinterpret_cast<std::uint8_t*>(out.data()));
  return out + bytes;
}

TEST_CASE("rubbish is counted and dropped, and the connection stays") {
  observed_endpoint n("n");
  stranger s(n.link->address());
  s.send("");
  s.send("rubbish");
  s.send(std::string(5 << 20, 'r'));
  s.join("s");
  REQUIRE(n.events.wait_up());
  s.send("rubbish");
  s.send(std::string(200, '\0'));
  frame_header header = s.in_session(frame_kind::envelopes, 1);
  s.send(header, "lengths that lie");
  header.flags = flag_compressed;
  header.raw_bytes = 4 << 20;
  s.send(header, std::string(100, 'z'));
  header.flags = 0;
  s.send(s.in_session(frame_kind::chunk, 1), std::string(100, '\xff'));
  s.send(s.in_session(frame_kind::acknowledgement, 0), "");
  std::string wrong_version(header_bytes, '\0');
  encode_header(header, reinterpret_cast<std::uint8_t*>(wrong_version.data()));
  wrong_version[4] = 9;
  s.send(wrong_version);
  s.socket.send(zmq::str_buffer("two"), zmq::send_flags::sndmore);
  s.socket.send(zmq::str_buffer("parts"), zmq::send_flags::none);
  s.send(header, one_envelope(5));
  REQUIRE(n.events.wait_envelopes(1));
  CHECK(n.events.envelopes()[0]->correlation() == 5);
  CHECK(n.events.downs().empty());
  std::uint64_t of_peer = 0, of_strangers = 0;
  for (const auto& link : n.link->links())
    (link.peer() == "s" ? of_peer : of_strangers) += link.dropped_malformed();
  CHECK(of_peer == 6);
  CHECK(of_strangers == 4);
}

TEST_CASE("an envelope that does not parse costs itself only") {
  observed_endpoint n("n");
  stranger s(n.link->address());
  s.join("s");
  std::string broken = one_envelope(1);
  broken[4] = '\xff';
  s.send(s.in_session(frame_kind::envelopes, 1), one_envelope(7) + broken + one_envelope(8));
  REQUIRE(n.events.wait_envelopes(2));
  CHECK(n.events.envelopes()[1]->correlation() == 8);
  CHECK(n.link->links()[0].dropped_malformed() == 1);
}

TEST_CASE("hellos that cannot be are refused with the reason") {
  observed_endpoint n("n");
  stranger s(n.link->address());
  const auto refusal_of = [&](const std::string& hello) {
    frame_header header;
    header.kind = frame_kind::hello;
    s.send(header, hello);
    proto::LinkRefusal refusal;
    REQUIRE(refusal.ParseFromString(s.receive(frame_kind::refusal).second));
    return refusal.reason();
  };
  CHECK(refusal_of(stranger::hello("n")) == proto::LinkRefusal::SAME_NAME);
  CHECK(refusal_of(stranger::hello("s", protocol_version + 1)) ==
        proto::LinkRefusal::OTHER_VERSION);
  s.join("s");
  REQUIRE(n.events.wait_up());
  stranger t(n.link->address());
  proto::LinkHello second;
  REQUIRE(second.ParseFromString(stranger::hello("s")));
  second.set_session(43);
  frame_header header;
  header.kind = frame_kind::hello;
  t.send(header, second.SerializeAsString());
  proto::LinkRefusal refusal;
  REQUIRE(refusal.ParseFromString(t.receive(frame_kind::refusal).second));
  CHECK(refusal.reason() == proto::LinkRefusal::ALREADY_CONNECTED);
  CHECK(refusal.existing_session() == 42);
}

TEST_CASE("a frame for a session that is not known is answered with a reset") {
  observed_endpoint n("n");
  stranger s(n.link->address());
  s.session = 1234;
  s.send(s.in_session(frame_kind::envelopes, 1), one_envelope(1));
  CHECK(s.receive(frame_kind::reset).first.session == 1234);
}

// A second process with a node "child" in it, which dials the address that it is told and lives
// until it is ended.
struct child_process {
  pid_t pid = -1;
  int tell = -1;

  child_process() {
    int way[2];
    REQUIRE(::pipe(way) == 0);
    pid = ::fork();
    if (pid == 0) {
      ::close(way[1]);
      run(way[0]);
    }
    ::close(way[0]);
    tell = way[1];
  }
  ~child_process() {
    ::close(tell);
    ::kill(pid, SIGKILL);
    ::waitpid(pid, nullptr, 0);
  }
  void dial(const std::string& address) {
    const std::string line = address + "\n";
    REQUIRE(::write(tell, line.data(), line.size()) == static_cast<ssize_t>(line.size()));
  }
  [[noreturn]] static void run(int told) {
    char address[256] = {};
    const ssize_t got = ::read(told, address, sizeof address - 1);
    observed_endpoint child("child");
    if (got > 1) (void)child.link->connect(std::string(address, static_cast<std::size_t>(got - 1)));
    for (;;) ::pause();
  }
};

TEST_CASE("a killed peer is down at once, and what it did not take is reported") {
  child_process child;
  observed_endpoint n("n");
  child.dial(n.link->address());
  REQUIRE(n.events.wait_up());
  const auto killed = std::chrono::steady_clock::now();
  ::kill(child.pid, SIGKILL);
  REQUIRE(n.events.wait_down());
  CHECK(std::chrono::steady_clock::now() - killed < 2500ms);  // silence_max is 3 s
  CHECK(n.events.reasons()[0] == "the connection was lost");
}

TEST_CASE("a stopped peer is down after the silence; memory toward it is bounded until then") {
  child_process child;
  link_settings settings = observed_endpoint::listening();
  settings.silence_max = 600ms;
  settings.queued_bytes_max = 1 << 20;
  observed_endpoint n("n", 1, settings);
  child.dial(n.link->address());
  REQUIRE(n.events.wait_up());
  ::kill(child.pid, SIGSTOP);
  REQUIRE(::waitpid(child.pid, nullptr, WUNTRACED) == child.pid);  // until then its threads run on
  std::uint64_t accepted = 0;
  status last;
  for (; last.ok(); accepted += last.ok())
    last = n.link->send(envelope_to("child", accepted, std::string(1000, 'x')));
  CHECK(last.failure().code == error_code::resource_exhausted);
  CHECK(accepted > 500);
  CHECK(accepted < 1100);
  REQUIRE(n.events.wait_down());
  CHECK(n.events.reasons()[0].find("silent") != std::string::npos);
  CHECK(n.events.undelivered().size() + 200 > accepted);
  const std::size_t ups = n.events.ups().size();
  ::kill(child.pid, SIGCONT);
  REQUIRE(n.events.wait_up(ups + 1));
  CHECK(n.link->send(envelope_to("child", 1)).ok());
}

}  // namespace
}  // namespace troupe::link
