// Random envelopes: what was sent is what arrives, for every payload; bytes that are cut or changed
// are refused or parsed, never a crash.
#include <doctest/doctest.h>
#include <google/protobuf/stubs/logging.h>
#include <google/protobuf/util/message_differencer.h>
#include <rapidcheck.h>

#include "proto/envelope.pb.h"

using namespace troupe;
using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using google::protobuf::util::MessageDifferencer;

namespace {

std::string random_bytes(bool text) {
  auto bytes = *rc::gen::container<std::string>(rc::gen::arbitrary<char>());
  if (text)
    for (char& c : bytes) c = static_cast<char>(c & 0x7f);  // a string field carries UTF-8
  return bytes;
}

void randomize(Message& message, int depth);

void set_random(Message& message, const FieldDescriptor& field, int depth) {
  const auto& reflection = *message.GetReflection();
  const bool many = field.is_repeated();
  const int count = many ? *rc::gen::inRange(0, 4) : 1;
  for (int i = 0; i < count; ++i) {
    switch (field.cpp_type()) {
#define SET_OR_ADD(Kind, value)                        \
  many ? reflection.Add##Kind(&message, &field, value) \
       : reflection.Set##Kind(&message, &field, value)
      case FieldDescriptor::CPPTYPE_INT32:
        SET_OR_ADD(Int32, *rc::gen::arbitrary<std::int32_t>());
        break;
      case FieldDescriptor::CPPTYPE_INT64:
        SET_OR_ADD(Int64, *rc::gen::arbitrary<std::int64_t>());
        break;
      case FieldDescriptor::CPPTYPE_UINT32:
        SET_OR_ADD(UInt32, *rc::gen::arbitrary<std::uint32_t>());
        break;
      case FieldDescriptor::CPPTYPE_UINT64:
        SET_OR_ADD(UInt64, *rc::gen::arbitrary<std::uint64_t>());
        break;
      case FieldDescriptor::CPPTYPE_DOUBLE:
        SET_OR_ADD(Double, *rc::gen::arbitrary<double>());
        break;
      case FieldDescriptor::CPPTYPE_FLOAT:
        SET_OR_ADD(Float, *rc::gen::arbitrary<float>());
        break;
      case FieldDescriptor::CPPTYPE_BOOL:
        SET_OR_ADD(Bool, *rc::gen::arbitrary<bool>());
        break;
      case FieldDescriptor::CPPTYPE_ENUM:
        SET_OR_ADD(EnumValue,
                   *rc::gen::inRange(0, 40));  // also values that this version does not know
        break;
      case FieldDescriptor::CPPTYPE_STRING:
        SET_OR_ADD(String, random_bytes(field.type() == FieldDescriptor::TYPE_STRING));
        break;
#undef SET_OR_ADD
      case FieldDescriptor::CPPTYPE_MESSAGE:
        randomize(many ? *reflection.AddMessage(&message, &field)
                       : *reflection.MutableMessage(&message, &field),
                  depth + 1);
        break;
    }
  }
}

void randomize(Message& message, int depth) {
  const auto& type = *message.GetDescriptor();
  if (depth > 8) return;
  for (int i = 0; i < type.field_count(); ++i)
    if (*rc::gen::inRange(0, 4) != 0) set_random(message, *type.field(i), depth);
}

proto::Envelope random_envelope() {
  proto::Envelope envelope;
  const auto& type = *proto::Envelope::descriptor();
  const auto& payloads = *type.FindOneofByName("payload");
  for (int i = 0; i < type.field_count(); ++i)
    if (type.field(i)->containing_oneof() == nullptr) set_random(envelope, *type.field(i), 0);
  set_random(envelope, *payloads.field(*rc::gen::inRange(0, payloads.field_count())), 0);
  return envelope;
}

}  // namespace

TEST_CASE("an envelope that was serialised is read back the same") {
  CHECK(rc::check([] {
    const proto::Envelope sent = random_envelope();
    proto::Envelope read;
    const std::string bytes = sent.SerializeAsString();
    RC_ASSERT(bytes.size() == sent.ByteSizeLong());
    RC_ASSERT(read.ParseFromString(bytes));
    RC_ASSERT(read.payload_case() == sent.payload_case());
    RC_ASSERT(read.SerializeAsString() == bytes);
    RC_ASSERT(MessageDifferencer::Equals(sent, read));
  }));
}

TEST_CASE("damaged bytes are refused or give some envelope, and nothing else happens") {
  google::protobuf::SetLogHandler(nullptr);  // it would print every refused text
  CHECK(rc::check([] {
    std::string bytes = random_envelope().SerializeAsString();
    bytes.resize(*rc::gen::inRange<std::size_t>(0, bytes.size() + 1));
    if (!bytes.empty())
      bytes[*rc::gen::inRange<std::size_t>(0, bytes.size())] ^= *rc::gen::arbitrary<char>();
    proto::Envelope read;
    if (read.ParseFromString(bytes)) RC_ASSERT(read.ByteSizeLong() <= 2 * bytes.size() + 64);
  }));
}
