#include "actors/stages/remote_stage.hpp"

#include <random>

#include "actors/stages/stage_messages.hpp"

namespace troupe {
namespace {

std::string drawn_name() {
  std::random_device source;
  std::string name(16, '\0');
  for (char& byte : name) byte = static_cast<char>(source());
  return name;
}

class remote_stage final : public kernels::stage {
 public:
  remote_stage(std::shared_ptr<stage_desk> desk, post_office& office, remote_stage_wish wish,
               const proto::StageOpened& opened)
      : desk_(std::move(desk)), office_(office), wish_(std::move(wish)), name_(opened.stage()) {
    description_ = {.backend = opened.backend(),
                    .numerics_class = opened.numerics_class(),
                    .variant = opened.variant(),
                    .vocabulary_size = wish_.vocabulary,
                    .embedding_size = wish_.embedding,
                    .kv_blocks = opened.kv_blocks()};
  }
  ~remote_stage() override {
    proto::Envelope message;
    message.mutable_close_stage()->set_stage(name_);
    desk_->tell(std::move(message), wish_.node, office_);
  }

  const kernels::engine_description& description() const override { return description_; }
  kernels::layer_range layers() const override { return wish_.layers; }
  std::optional<error> lost() const override { return lost_; }

  status begin(std::span<const kernels::sequence_step> batch,
               std::span<const float> stream) override {
    if (lost_) return *lost_;
    proto::Envelope message;
    *message.mutable_step_stage() = step_message(name_, batch, stream);
    tokens_ = 0;
    for (const kernels::sequence_step& step : batch) tokens_ += step.tokens.size();
    asked_ = desk_->ask(std::move(message), wish_.node, wish_.step_wait, office_);
    return {};
  }

  result<kernels::stage_output> finish() override {
    const auto reply = desk_->wait(asked_);
    if (!reply) {
      if (reply.failure().code != error_code::resource_exhausted) lost_ = reply.failure();
      return reply.failure();
    }
    auto out = (*reply)->has_stage_stepped()
                   ? output_of((*reply)->stage_stepped())
                   : error{error_code::internal,
                           "node " + wish_.node + " answered a step with " +
                               std::to_string((*reply)->payload_case()),
                           "both nodes need the same version"};
    if (out && !whole(*out))
      out = error{error_code::internal, "node " + wish_.node + " gave rows of another shape",
                  "both nodes need the same version and the same file"};
    if (!out) {
      lost_ = out.failure();
      return out.failure();
    }
    held_ = std::move(*out);
    return held_.view();
  }

 private:
  bool whole(const received_output& out) const {
    const std::uint64_t rows = wish_.last ? 0 : tokens_;
    return out.stream.size() == rows * wish_.embedding &&
           out.logits.size() == std::uint64_t{out.rows} * wish_.vocabulary &&
           out.hidden.size() % wish_.embedding == 0;
  }

  std::shared_ptr<stage_desk> desk_;
  post_office& office_;
  remote_stage_wish wish_;
  std::string name_;
  kernels::engine_description description_;
  std::uint64_t asked_ = 0, tokens_ = 0;
  received_output held_;
  std::optional<error> lost_;
};

}  // namespace

result<std::unique_ptr<kernels::stage>> open_remote_stage(std::shared_ptr<stage_desk> desk,
                                                          post_office& office,
                                                          const remote_stage_wish& wish) {
  proto::Envelope message;
  proto::OpenStage& open = *message.mutable_open_stage();
  open.set_stage(drawn_name());
  open.set_model_digest(wish.digest);
  open.set_layer_first(wish.layers.first);
  open.set_layer_end(wish.layers.end);
  open.set_kv_blocks(wish.kv_blocks);
  open.set_kv_type(wish.kv == kernels::kv_type::q8_0 ? "q8_0" : "f16");
  open.set_batch_tokens_max(wish.batch_tokens_max);
  const auto reply = desk->wait(desk->ask(std::move(message), wish.node, wish.open_wait, office));
  if (!reply) return reply.failure();
  if (!(*reply)->has_stage_opened() || (*reply)->stage_opened().kv_blocks() == 0)
    return error{error_code::internal, "node " + wish.node + " did not say what it opened",
                 "both nodes need the same version"};
  return std::unique_ptr<kernels::stage>(
      std::make_unique<remote_stage>(std::move(desk), office, wish, (*reply)->stage_opened()));
}

}  // namespace troupe
