#include <doctest/doctest.h>

#include <set>
#include <string>

#include "actors/cast.hpp"
#include "actors/core.hpp"

using namespace troupe;

TEST_CASE("the cast names every message of the envelope once, and no other") {
  const auto* oneof = proto::Envelope::descriptor()->FindOneofByName("payload");
  REQUIRE(oneof != nullptr);
  std::set<std::string> spoken, listed;
  for (int i = 0; i < oneof->field_count(); ++i) spoken.insert(oneof->field(i)->name());
  for (const cast_row& row : cast) {
    CAPTURE(row.message);
    CHECK(listed.insert(std::string{row.message}).second);
    CHECK(spoken.contains(std::string{row.message}));
    CHECK(!row.meaning.empty());
  }
  CHECK(listed == spoken);
}

TEST_CASE("each reply in the cast is a message of the cast that goes back") {
  for (const cast_row& row : cast) {
    CAPTURE(row.message);
    std::string_view rest = row.reply;
    while (!rest.empty()) {
      const std::string_view name = rest.substr(0, rest.find('|'));
      rest.remove_prefix(std::min(rest.size(), name.size() + 1));
      bool found = false;
      for (const cast_row& other : cast)
        if (other.message == name) found = other.sender == row.receiver;
      CHECK_MESSAGE(found, "reply ", name);
    }
    if (row.wait_ms > 0) CHECK(!row.reply.empty());
  }
}

TEST_CASE("the errors in the cast are error codes") {
  for (const cast_row& row : cast) {
    std::string_view rest = row.errors;
    while (!rest.empty()) {
      const std::string name{rest.substr(0, rest.find(' '))};
      rest.remove_prefix(std::min(rest.size(), name.size() + 1));
      proto::Error::Code code;
      CHECK_MESSAGE(proto::Error::Code_Parse(name, &code), name);
    }
  }
}

TEST_CASE(
    "a reply goes back to where the request came from, with its correlation, attempt and trace") {
  proto::Envelope request;
  request.mutable_sender()->set_node("a");
  request.mutable_sender()->set_actor("gateway");
  request.mutable_target()->set_node("b");
  request.mutable_target()->set_actor("inference");
  request.set_correlation(7);
  request.set_attempt(3);
  request.set_deadline_ms(50);
  request.mutable_trace()->set_span(9);
  const proto::Envelope reply = reply_to(request);
  CHECK(reply.sender().node() == "b");
  CHECK(reply.target().actor() == "gateway");
  CHECK(reply.correlation() == 7);
  CHECK(reply.attempt() == 3);
  CHECK(reply.trace().span() == 9);
  CHECK(reply.deadline_ms() == 0);
  const envelope_ptr no = refuse(request, proto::Error::NOT_FOUND, "what", "how");
  CHECK(no->error().code() == proto::Error::NOT_FOUND);
  CHECK(no->error().message() == "what");
  CHECK(no->error().mend() == "how");
  CHECK(no->target().node() == "a");
}
