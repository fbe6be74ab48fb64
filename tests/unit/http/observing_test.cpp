#include <doctest/doctest.h>

#include "cluster/client/observing.hpp"
#include "cluster/client/status_document.hpp"
#include "cluster/http/observation_request.hpp"
#include "cluster/http/trace_parent.hpp"

using namespace troupe;
using namespace troupe::http;

namespace {

constexpr const char* example = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

}  // namespace

TEST_CASE("property 24: a traceparent is read and written as W3C has it") {
  const auto read = read_trace_parent(example);
  REQUIRE(read.has_value());
  CHECK(read->trace_high() == 0x4bf92f3577b34da6);
  CHECK(read->trace_low() == 0xa3ce929d0e0e4736);
  CHECK(read->span() == 0x00f067aa0ba902b7);
  CHECK(read->flags() == 1);
  CHECK(trace_parent_of(*read) == example);
  CHECK(read_trace_parent("cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-09-more"));
}

TEST_CASE("what is no traceparent begins a trace of its own") {
  for (const char* wrong : {"", "00", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7",
                            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
                            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
                            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
                            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
                            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-x",
                            "00-4bf92f3577b34da6a3ce929d0e0e473g-00f067aa0ba902b7-01",
                            "00_4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"})
    CHECK_FALSE_MESSAGE(read_trace_parent(wrong).has_value(), wrong);
}

TEST_CASE("queries of the log are read with their cursors, or refused with what is wrong") {
  const auto read = read_log_query(
      "node=a%2Db&level=warn&actor=gateway&job=0198c6f2&lines=7&after=a-b:5:120,c:7:88");
  REQUIRE(std::holds_alternative<proto::ReadLog>(read));
  const auto& asked = std::get<proto::ReadLog>(read);
  CHECK(asked.node() == "a-b");
  CHECK(asked.level() == proto::LEVEL_WARN);
  CHECK(asked.actor() == "gateway");
  CHECK(asked.lines_max() == 7);
  REQUIRE(asked.after_size() == 2);
  CHECK(asked.after(0).node() == "a-b");
  CHECK(asked.after(0).incarnation() == 5);
  CHECK(asked.after(1).sequence() == 88);
  for (const char* wrong :
       {"level=loud", "lines=x", "after=a", "after=a:b:c", "after=:1:2", "node=%g"})
    CHECK_MESSAGE(std::holds_alternative<api_error>(read_log_query(wrong)), wrong);
  CHECK(std::holds_alternative<api_error>(read_history_query("seconds=-1")));
  CHECK(std::get<proto::ReadHistory>(read_history_query("seconds=60&series=cpu_share")).series(0) ==
        "cpu_share");
}

TEST_CASE("queries of a profile are read, or refused with what is wrong") {
  const auto read = read_profile_query("node=a%2Db&seconds=60&kind=heap");
  REQUIRE(std::holds_alternative<proto::ReadProfile>(read));
  CHECK(std::get<proto::ReadProfile>(read).node() == "a-b");
  CHECK(std::get<proto::ReadProfile>(read).seconds() == 60);
  CHECK(std::get<proto::ReadProfile>(read).kind() == proto::PROFILE_HEAP);
  CHECK(std::get<proto::ReadProfile>(read_profile_query("")).seconds() == 10);
  CHECK(std::get<proto::ReadProfile>(read_profile_query("kind=cpu")).kind() == proto::PROFILE_CPU);
  for (const char* wrong :
       {"seconds=0", "seconds=61", "seconds=", "seconds=-1", "kind=x", "node=%"})
    CHECK_MESSAGE(std::holds_alternative<api_error>(read_profile_query(wrong)), wrong);
}

TEST_CASE("a job is named by its UUID or its beginning") {
  CHECK(client::job_id_bytes("0198c6f2-5a10-7000-8000-000000000001")->size() == 16);
  CHECK(client::job_id_bytes("0198c6f2")->size() == 4);
  CHECK(client::job_id_bytes("0198c6f2-5a10")->size() == 6);
  for (const char* wrong : {"", "0198", "0198c6fg", "x"})
    CHECK_FALSE_MESSAGE(client::job_id_bytes(wrong).ok(), wrong);
}

TEST_CASE("documents tell job ids as UUIDs, ids of spans in hexadecimal, and holes as null") {
  proto::JobStory story;
  story.mutable_job()->set_job_id(std::string(16, '\x11'));
  story.mutable_job()->set_state(proto::JOB_RUNNING);
  story.add_spans()->set_id(0x00ff);
  const std::string text = client::document_of(story);
  CHECK(text.find("\"11111111-1111-1111-1111-111111111111\"") != std::string::npos);
  CHECK(text.find("\"00000000000000ff\"") != std::string::npos);
  CHECK(text.find("\"job_running\"") != std::string::npos);
  proto::Series series;
  series.add_values(std::numeric_limits<float>::quiet_NaN());
  series.add_values(2);
  CHECK(client::document_of(series).find("[null,2.0]") != std::string::npos);
}
