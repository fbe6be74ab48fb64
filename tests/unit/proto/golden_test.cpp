// The wire format, held by golden bytes: golden_bytes.txt has one line for each payload,
// "payload|hex|text form".
//
// A change of a line is a change of what nodes of different versions say to each other. A new
// payload or field needs new lines: unit_proto --no-skip --test-case="print golden bytes" prints
// the file as today's definitions give it.
#include <doctest/doctest.h>
#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/io/zero_copy_stream_impl_lite.h>
#include <google/protobuf/text_format.h>
#include <google/protobuf/util/message_differencer.h>

#include <fstream>
#include <iostream>
#include <map>
#include <memory>

#include "config/outcome.hpp"
#include "filled_message.hpp"
#include "proto/envelope.pb.h"
#include "proto/invite.pb.h"
#include "proto/journal.pb.h"
#include "proto/link.pb.h"

using namespace troupe;
using namespace troupe::proto_tests;
using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using google::protobuf::OneofDescriptor;
using google::protobuf::TextFormat;
using google::protobuf::util::MessageDifferencer;

namespace {

struct golden_line {
  std::string payload, hex, text;
};

const OneofDescriptor& payloads() {
  const auto* choice = proto::Envelope::descriptor()->FindOneofByName("payload");
  REQUIRE(choice != nullptr);
  return *choice;
}

std::string bytes_of(const Message& message) {
  std::string bytes;
  google::protobuf::io::StringOutputStream out(&bytes);
  google::protobuf::io::CodedOutputStream coded(&out);
  coded.SetSerializationDeterministic(true);
  message.SerializeToCodedStream(&coded);
  coded.Trim();
  return bytes;
}

std::string hex_of(const std::string& bytes) {
  std::string hex;
  for (const char c : bytes) {
    const auto byte = static_cast<unsigned char>(c);
    hex += "0123456789abcdef"[byte >> 4];
    hex += "0123456789abcdef"[byte & 15];
  }
  return hex;
}

std::string bytes_of_hex(const std::string& hex) {
  std::string bytes;
  for (std::size_t i = 0; i + 1 < hex.size(); i += 2)
    bytes += static_cast<char>(std::stoi(hex.substr(i, 2), nullptr, 16));
  return bytes;
}

std::vector<golden_line> golden_lines() {
  std::ifstream file(std::string(TROUPE_SOURCE_DIR) + "/tests/unit/proto/golden_bytes.txt");
  REQUIRE_MESSAGE(file.good(), "tests/unit/proto/golden_bytes.txt is missing");
  std::vector<golden_line> lines;
  for (std::string line; std::getline(file, line);) {
    if (line.empty() || line.front() == '#') continue;
    const std::size_t first = line.find('|'), second = line.find('|', first + 1);
    REQUIRE(second != std::string::npos);
    lines.push_back({line.substr(0, first), line.substr(first + 1, second - first - 1),
                     line.substr(second + 1)});
  }
  return lines;
}

proto::Envelope headed() {
  proto::Envelope envelope;
  const auto& type = *proto::Envelope::descriptor();
  for (int i = 0; i < type.field_count(); ++i)
    if (type.field(i)->real_containing_oneof() == nullptr) fill_field(envelope, *type.field(i));
  return envelope;
}

using google::protobuf::Descriptor;

// Messages that travel or lie outside of an envelope: the link's, the journal's and an
// invitation's.
std::vector<const Descriptor*> messages_outside() {
  std::vector<const Descriptor*> all;
  for (const auto* file :
       {proto::LinkHello::descriptor()->file(), proto::JournalRecord::descriptor()->file(),
        proto::ListedKey::descriptor()->file()})
    for (int i = 0; i < file->message_type_count(); ++i) all.push_back(file->message_type(i));
  return all;
}

std::unique_ptr<Message> message_of(const Descriptor& type) {
  return std::unique_ptr<Message>(
      google::protobuf::MessageFactory::generated_factory()->GetPrototype(&type)->New());
}

// A line's name is a payload of the envelope ("submit_job") or a message outside ("LinkHello").
std::unique_ptr<Message> empty_message(const std::string& name) {
  for (const Descriptor* type : messages_outside())
    if (type->name() == name) return message_of(*type);
  return message_of(*proto::Envelope::descriptor());
}

using filled_line = std::pair<std::string, std::unique_ptr<Message>>;

// The error payload carries the whole head of the envelope; the others are the payload alone.
std::vector<filled_line> filled_messages() {
  std::vector<filled_line> all;
  for (int i = 0; i < payloads().field_count(); ++i) {
    const FieldDescriptor& field = *payloads().field(i);
    proto::Envelope envelope = i == 0 ? headed() : proto::Envelope();
    fill_field(envelope, field);
    all.emplace_back(field.name(), std::make_unique<proto::Envelope>(envelope));
    if (envelope.has_job_story()) {
      proto::SpanAttribute& value =
          *envelope.mutable_job_story()->mutable_spans(0)->mutable_attributes(0);
      value.set_number(-7);
      all.emplace_back(field.name(), std::make_unique<proto::Envelope>(envelope));
      value.set_real(0.5);
      all.emplace_back(field.name(), std::make_unique<proto::Envelope>(envelope));
      value.set_flag(true);
      all.emplace_back(field.name(), std::make_unique<proto::Envelope>(envelope));
    }
    if (envelope.has_submit_job()) {
      auto& ids = *envelope.mutable_submit_job()->mutable_job()->mutable_token_ids();
      for (const int id : {0, 1, 127, 128, 32000, -1}) ids.add_ids(id);
      all.emplace_back(field.name(), std::make_unique<proto::Envelope>(envelope));
      proto::JobSpecification& job = *envelope.mutable_submit_job()->mutable_job();
      fill(*job.mutable_chat());
      job.mutable_sampling()->mutable_constraint()->set_json_schema("{}");
      all.emplace_back(field.name(), std::make_unique<proto::Envelope>(envelope));
    }
  }
  for (const Descriptor* type : messages_outside()) {
    auto message = message_of(*type);
    fill(*message);
    all.emplace_back(type->name(), std::move(message));
    const OneofDescriptor* kinds = type->FindOneofByName("kind");
    for (int i = 1; kinds != nullptr && i < kinds->field_count(); ++i) {
      message = message_of(*type);
      fill_field(*message, *kinds->field(i));
      all.emplace_back(type->name(), std::move(message));
    }
  }
  return all;
}

}  // namespace

TEST_CASE("every payload has golden bytes, and they are what the message gives today") {
  std::map<std::string, int> lines_of;
  for (const golden_line& line : golden_lines()) {
    CAPTURE(line.payload);
    ++lines_of[line.payload];
    const auto from_text = empty_message(line.payload), from_bytes = empty_message(line.payload);
    REQUIRE(TextFormat::ParseFromString(line.text, from_text.get()));
    CHECK(hex_of(bytes_of(*from_text)) == line.hex);
    REQUIRE(from_bytes->ParseFromString(bytes_of_hex(line.hex)));
    CHECK(MessageDifferencer::Equals(*from_text, *from_bytes));
    if (const auto* envelope = dynamic_cast<const proto::Envelope*>(from_bytes.get())) {
      const FieldDescriptor* field = proto::Envelope::descriptor()->FindFieldByName(line.payload);
      REQUIRE(field != nullptr);
      CHECK(envelope->payload_case() == field->number());
    }
  }
  for (const Descriptor* type : messages_outside()) {
    CAPTURE(type->name());
    CHECK(lines_of[type->name()] > 0);
  }
  for (int i = 0; i < payloads().field_count(); ++i) {
    CAPTURE(payloads().field(i)->name());
    CHECK(lines_of[payloads().field(i)->name()] > 0);
  }
}

TEST_CASE(
    "the golden bytes set every field of every message, so that a new field needs new bytes") {
  std::set<std::string> wanted, present;
  collect_all_fields(*proto::Envelope::descriptor(), wanted);
  for (const Descriptor* type : messages_outside()) collect_all_fields(*type, wanted);
  for (const golden_line& line : golden_lines()) {
    const auto message = empty_message(line.payload);
    REQUIRE(message->ParseFromString(bytes_of_hex(line.hex)));
    collect_set_fields(*message, present);
  }
  for (const std::string& field : wanted) CHECK_MESSAGE(present.contains(field), field);
}

TEST_CASE("payload numbers of the envelope stand apart from the head's") {
  for (int i = 0; i < payloads().field_count(); ++i) CHECK(payloads().field(i)->number() >= 16);
}

TEST_CASE("the error codes of the wire are those of config/outcome.hpp") {
  const auto& codes = *proto::Error::Code_descriptor();
  CHECK(codes.value_count() == static_cast<int>(std::size(error_table)));
  for (const error_row& row : error_table) {
    const auto* value = codes.FindValueByNumber(static_cast<int>(row.code));
    CAPTURE(std::string(row.name));
    REQUIRE(value != nullptr);
    std::string name = value->name();
    for (char& c : name) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    CHECK(name == row.name);
    CHECK(name_of(row.code) == row.name);
  }
}

TEST_CASE("print golden bytes" * doctest::skip()) {
  std::cout << "# payload|bytes in hexadecimal|text form. golden_test.cpp says how these lines are "
               "made.\n";
  TextFormat::Printer printer;
  printer.SetSingleLineMode(true);
  for (const auto& [name, message] : filled_messages()) {
    std::string text;
    REQUIRE(printer.PrintToString(*message, &text));
    std::cout << name << '|' << hex_of(bytes_of(*message)) << '|' << text << '\n';
  }
}
