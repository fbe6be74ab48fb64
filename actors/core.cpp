#include "actors/core.hpp"

namespace troupe {

proto::Envelope reply_to(const proto::Envelope& request) {
  proto::Envelope reply;
  if (request.has_target()) *reply.mutable_sender() = request.target();
  if (request.has_sender()) *reply.mutable_target() = request.sender();
  reply.set_correlation(request.correlation());
  reply.set_attempt(request.attempt());
  if (request.has_trace()) *reply.mutable_trace() = request.trace();
  return reply;
}

envelope_ptr refuse(const proto::Envelope& request, proto::Error::Code code, std::string message,
                    std::string mend) {
  auto reply = std::make_shared<proto::Envelope>(reply_to(request));
  proto::Error& error = *reply->mutable_error();
  error.set_code(code);
  error.set_message(std::move(message));
  error.set_mend(std::move(mend));
  return reply;
}

envelope_ptr refuse(const proto::Envelope& request, const error& why) {
  return refuse(request, static_cast<proto::Error::Code>(why.code), why.message, why.mend);
}

}  // namespace troupe
