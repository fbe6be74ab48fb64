// A refusal as HTTP clients see it: a status, and a document in the shape of the API they speak.
//
// Every message tells what was wrong, where, and how to mend it. Pure.
#pragma once

#include <cstdint>
#include <string>

#include "config/outcome.hpp"
#include "proto/error.pb.h"

namespace troupe::http {

struct api_error {
  int status = 500;
  std::string type;                 // OpenAI's: "invalid_request_error"
  std::string code;                 // ours, of config/outcome.hpp: "invalid_argument"
  std::string message;              // with how to mend it
  std::string param;                // the field that was wrong, as a path; empty: none
  std::uint32_t retry_after_s = 0;  // 0: no Retry-After
};

// A field of the body that is wrong: 400.
api_error wrong_field(std::string field, std::string message);
// What HTTP itself refuses: 401, 404, 405, 408, 411, 413, 431 and their like.
api_error wrong_request(int status, std::string message);
api_error api_error_of(error_code code, std::string message, const std::string& mend = {});
api_error api_error_of(const proto::Error& from);

std::string openai_error_document(const api_error& why);
std::string ollama_error_document(const api_error& why);

}  // namespace troupe::http
