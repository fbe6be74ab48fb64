#include "cluster/client/status_document.hpp"

#include <algorithm>
#include <cctype>
#include <cmath>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "cluster/client/uuid.hpp"

namespace troupe::client {
namespace {

using json = nlohmann::ordered_json;
using google::protobuf::FieldDescriptor;
using google::protobuf::Message;

std::string lower(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return text;
}

// Readers in JavaScript hold whole numbers up to 2^53 only.
json number64(const FieldDescriptor& field, std::uint64_t value) {
  if (field.type() != FieldDescriptor::TYPE_FIXED64) return value;
  char text[24];
  std::snprintf(text, sizeof text, "%016llx", static_cast<unsigned long long>(value));
  return text;
}

json object_of(const Message& message);

// One value: of the field itself, or of its item `at`.
json value_of(const Message& message, const FieldDescriptor& field, int at) {
  const auto& read = *message.GetReflection();
  const bool many = field.is_repeated();
  switch (field.cpp_type()) {
    case FieldDescriptor::CPPTYPE_INT32:
      return many ? read.GetRepeatedInt32(message, &field, at) : read.GetInt32(message, &field);
    case FieldDescriptor::CPPTYPE_INT64:
      return many ? read.GetRepeatedInt64(message, &field, at) : read.GetInt64(message, &field);
    case FieldDescriptor::CPPTYPE_UINT32:
      return many ? read.GetRepeatedUInt32(message, &field, at) : read.GetUInt32(message, &field);
    case FieldDescriptor::CPPTYPE_UINT64:
      return number64(field, many ? read.GetRepeatedUInt64(message, &field, at)
                                  : read.GetUInt64(message, &field));
    case FieldDescriptor::CPPTYPE_FLOAT: {
      const float value =
          many ? read.GetRepeatedFloat(message, &field, at) : read.GetFloat(message, &field);
      return std::isfinite(value) ? json(value) : json();
    }
    case FieldDescriptor::CPPTYPE_DOUBLE: {
      const double value =
          many ? read.GetRepeatedDouble(message, &field, at) : read.GetDouble(message, &field);
      return std::isfinite(value) ? value : 0.0;
    }
    case FieldDescriptor::CPPTYPE_BOOL:
      return many ? read.GetRepeatedBool(message, &field, at) : read.GetBool(message, &field);
    case FieldDescriptor::CPPTYPE_ENUM:
      return lower(many ? read.GetRepeatedEnum(message, &field, at)->name()
                        : read.GetEnum(message, &field)->name());
    case FieldDescriptor::CPPTYPE_STRING: {
      std::string text =
          many ? read.GetRepeatedString(message, &field, at) : read.GetString(message, &field);
      return field.name() == "job_id" && text.size() == 16 ? uuid_text(text) : text;
    }
    case FieldDescriptor::CPPTYPE_MESSAGE:
      return object_of(many ? read.GetRepeatedMessage(message, &field, at)
                            : read.GetMessage(message, &field));
  }
  return nullptr;
}

json object_of(const Message& message) {
  json out = json::object();
  const auto* script = message.GetDescriptor();
  for (int i = 0; i < script->field_count(); ++i) {
    const FieldDescriptor& field = *script->field(i);
    if (!field.is_repeated()) {
      out[field.name()] = value_of(message, field, 0);
      continue;
    }
    json items = json::array();
    const int count = message.GetReflection()->FieldSize(message, &field);
    for (int at = 0; at < count; ++at) items.push_back(value_of(message, field, at));
    out[field.name()] = std::move(items);
  }
  return out;
}

}  // namespace

std::string document_of(const Message& message, bool indented) {
  return object_of(message).dump(indented ? 2 : -1, ' ', false, json::error_handler_t::replace);
}

std::string status_document(const proto::ClusterStatus& status) {
  return object_of(status).dump(2, ' ', false, json::error_handler_t::replace);
}

}  // namespace troupe::client
