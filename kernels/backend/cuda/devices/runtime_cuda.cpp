#include "kernels/backend/cuda/devices/runtime_cuda.hpp"

#include <cstdio>
#include <cstdlib>
#include <map>
#include <utility>

#include "kernels/backend/cuda/devices/gpu_choice.hpp"
#include "kernels/backend/cuda/devices/runtime_verdict.hpp"
#include "kernels/gpu_sensors.hpp"

namespace troupe::kernels {
namespace cuda {
namespace {

constexpr int capability_least = 80;

std::string words_of(int code) {
  return cudaGetErrorString(static_cast<cudaError_t>(code));
}

// As NVML writes it.
std::string bus_id_of(const cudaDeviceProp& properties) {
  char text[32];
  std::snprintf(
      text, sizeof text, "%08x:%02x:%02x.0", static_cast<unsigned>(properties.pciDomainID),
      static_cast<unsigned>(properties.pciBusID), static_cast<unsigned>(properties.pciDeviceID));
  return text;
}

// Without a context on the device, where that can be told.
void read_state(cuda_device& of, const gpu_sensors& sensors) {
  if (const auto seen = sensors.at(of.bus_id)) {
    of.lost = seen->lost;
    of.celsius = seen->celsius;
    of.busy_share = seen->busy_share;
    of.memory_bytes_free = seen->memory_bytes - seen->memory_bytes_used;
    if (seen->lost || seen->memory_bytes > 0) return;
  }
  std::size_t free = 0, total = 0;
  if (cudaSetDevice(of.index) == cudaSuccess && cudaMemGetInfo(&free, &total) == cudaSuccess)
    of.memory_bytes_free = free;
  (void)cudaGetLastError();
}

result<cuda_device> find_device(int wanted) {
  auto devices = cuda_devices();
  if (!devices) return devices.failure();
  const cuda_device* found = nullptr;
  for (const cuda_device& d : *devices)
    if (d.index == wanted) found = &d;
  if (wanted == any_device) found = choose_gpu(*devices);
  if (found == nullptr && wanted != any_device)
    return error{error_code::invalid_argument,
                 "gpu.device is " + std::to_string(wanted) + "; this machine has " +
                     std::to_string(devices->size()) + " that the CUDA engine can use",
                 "choose another, or set inference.engine to cpu"};
  if (found == nullptr || found->lost)
    return error{error_code::unsupported, "the GPU is lost, says its management library",
                 "start the machine again, choose another GPU or set inference.engine to cpu"};
  return *found;
}

}  // namespace

void end_process(const std::string& doing, const std::string& why) {
  std::fprintf(stderr,
               "cuda_device_lost doing=\"%s\" reason=\"%s\": the process ends; its supervisor "
               "starts it again and its jobs go on elsewhere\n",
               doing.c_str(), why.c_str());
  std::fflush(stderr);
  std::abort();
}

status check(int code, const std::string& doing) {
  const runtime_verdict verdict = verdict_of(code);
  if (verdict == runtime_verdict::fine) return {};
  if (verdict == runtime_verdict::sticky)
    end_process(doing, "CUDA says " + std::to_string(code) + ", " + words_of(code));
  (void)cudaGetLastError();  // else the next launch would report this one again
  return error_of(code, doing, words_of(code));
}

result<std::unique_ptr<stream>> stream::make() {
  std::unique_ptr<stream> made(new stream);
  if (status s = check(cudaStreamCreateWithFlags(&made->stream_, cudaStreamNonBlocking),
                       "making a stream");
      !s)
    return s.failure();
  return made;
}

stream::~stream() {
  if (stream_ != nullptr) cudaStreamDestroy(stream_);
}

status stream::wait(const std::string& doing) const {
  return check(cudaStreamSynchronize(stream_), doing);
}

status stream::wait_for(const event& passed) const {
  return check(cudaStreamWaitEvent(stream_, passed.get(), 0), "waiting for an event");
}

status stream::begin_recording() const {
  return check(cudaStreamBeginCapture(stream_, cudaStreamCaptureModeThreadLocal),
               "beginning to record a step");
}

result<recorded_graph> stream::end_recording() const {
  cudaGraph_t recorded = nullptr;
  if (status s = check(cudaStreamEndCapture(stream_, &recorded), "recording a step"); !s)
    return s.failure();
  cudaGraphExec_t graph = nullptr;
  const int made = cudaGraphInstantiateWithFlags(&graph, recorded, 0);
  cudaGraphDestroy(recorded);
  if (status s = check(made, "making a graph of a step"); !s) return s.failure();
  return recorded_graph(graph);
}

status stream::start(const recorded_graph& graph) const {
  return check(cudaGraphLaunch(graph.get(), stream_), "starting a recorded step");
}

recorded_graph::~recorded_graph() {
  if (graph_ != nullptr) cudaGraphExecDestroy(graph_);
}

result<std::unique_ptr<event>> event::make(bool timed) {
  std::unique_ptr<event> made(new event);
  const unsigned flags = timed ? cudaEventDefault : cudaEventDisableTiming;
  if (status s = check(cudaEventCreateWithFlags(&made->event_, flags), "making an event"); !s)
    return s.failure();
  return made;
}

event::~event() {
  if (event_ != nullptr) cudaEventDestroy(event_);
}

status event::record(const stream& on) {
  return check(cudaEventRecord(event_, on.get()), "recording an event");
}

status event::wait() {
  return check(cudaEventSynchronize(event_), "waiting for an event");
}

result<bool> event::passed() const {
  const int code = cudaEventQuery(event_);
  if (code == cudaErrorNotReady) {
    (void)cudaGetLastError();  // else the next launch would report it as its own
    return false;
  }
  if (status s = check(code, "looking at an event"); !s) return s.failure();
  return true;
}

result<double> event::seconds(const event& begin, const event& end) {
  float ms = 0;
  if (status s = check(cudaEventElapsedTime(&ms, begin.event_, end.event_), "reading a time"); !s)
    return s.failure();
  return ms / 1000.0;
}

pinned_bytes::~pinned_bytes() {
  if (data_ != nullptr) cudaFreeHost(data_);
}

status pinned_bytes::reserve(std::uint64_t bytes) {
  if (bytes <= bytes_) return {};
  if (data_ != nullptr) cudaFreeHost(data_);
  data_ = nullptr;
  bytes_ = 0;
  void* memory = nullptr;
  if (status s = check(cudaHostAlloc(&memory, bytes, cudaHostAllocDefault),
                       "taking " + std::to_string(bytes) + " bytes of pinned memory");
      !s)
    return s;
  data_ = static_cast<std::uint8_t*>(memory);
  bytes_ = bytes;
  return {};
}

// Beneath the pools: the runtime's stream-ordered allocator.
class device::runtime_source final : public memory_source {
 public:
  explicit runtime_source(const stream& on) : on_(on) {}

  result<device_address> take(std::uint64_t bytes) override {
    void* memory = nullptr;
    const std::string doing = "taking " + std::to_string(bytes) + " bytes of device memory";
    if (status s = check(cudaMallocAsync(&memory, bytes, on_.get()), doing); !s) return s.failure();
    if (status s = on_.wait(doing); !s) return s.failure();  // others' streams use it next
    return reinterpret_cast<device_address>(memory);
  }
  void give_back(device_address at, std::uint64_t) override {
    cudaFreeAsync(reinterpret_cast<void*>(at), on_.get());
    cudaStreamSynchronize(on_.get());
  }
  std::uint64_t free_bytes() override {
    std::size_t free = 0, total = 0;
    return cudaMemGetInfo(&free, &total) == cudaSuccess ? free : 0;
  }

 private:
  const stream& on_;
};

result<std::shared_ptr<device>> device::open(const cuda_settings& settings) {
  static std::mutex guard;
  static std::map<int, std::weak_ptr<device>> opened;
  const std::lock_guard lock{guard};
  if (auto there = opened[settings.device].lock()) return there;
  auto found = find_device(settings.device);
  if (!found) return found.failure();
  if (auto there = opened[found->index].lock()) return there;
  std::shared_ptr<device> made(new device);
  made->description_ = *found;
  if (status s = made->bind(); !s) return s.failure();
  std::size_t room = 0, all = 0;  // the runtime's own word, now that there is a context
  if (status s = check(cudaMemGetInfo(&room, &all), "reading free memory"); !s) return s.failure();
  made->description_.memory_bytes_free = room;
  auto on = stream::make();
  if (!on) return on.failure();
  made->allocations_ = std::move(*on);
  made->source_ = std::make_unique<runtime_source>(*made->allocations_);
  made->pools_ = std::make_unique<memory_pools>(settings.memory, *made->source_);
  const std::uint64_t free = room, reserve = settings.memory.reserve_bytes;
  made->resident_ = std::make_unique<resident_models>(free > reserve ? free - reserve : 0);
  opened[made->description_.index] = made;
  return made;
}

device::~device() {
  (void)bind();
  pools_.reset();
}

status device::bind() const {
  return check(cudaSetDevice(description_.index), "choosing the device");
}

result<std::uint8_t*> device::allocate(std::uint64_t bytes, const std::string& owner) {
  const std::lock_guard lock{guard_};
  auto at = pools_->allocate(bytes, owner);
  if (!at) return at.failure();
  return reinterpret_cast<std::uint8_t*>(*at);
}

void device::release(std::uint8_t* memory) {
  const std::lock_guard lock{guard_};
  pools_->release(reinterpret_cast<device_address>(memory));
}

std::uint64_t device::used_by(const std::string& owner) {
  const std::lock_guard lock{guard_};
  return pools_->used_by(owner);
}

std::uint64_t device::largest(const std::string& owner) {
  (void)bind();
  const std::lock_guard lock{guard_};
  return pools_->largest(owner);
}

pool_state device::state(pool_size of) {
  const std::lock_guard lock{guard_};
  return pools_->state(of);
}

status device::admit(const std::string& name, std::uint64_t bytes) {
  const std::lock_guard lock{guard_};
  auto going = resident_->to_make_room(bytes);
  if (!going) return going.failure();
  if (!going->empty()) {
    std::string names;
    for (const std::string& one : *going) names += (names.empty() ? "" : ", ") + one;
    return error{error_code::resource_exhausted,
                 "the weights of " + name + " (" + std::to_string(bytes) +
                     " bytes) do not fit beside what is on the GPU",
                 "unload " + names + " first: least recently used"};
  }
  resident_->add(name, bytes);
  return {};
}

void device::leave(const std::string& name) {
  const std::lock_guard lock{guard_};
  resident_->remove(name);
}

void device::use(const std::string& name) {
  const std::lock_guard lock{guard_};
  resident_->use(name);
}

device_buffer::~device_buffer() {
  if (data_ != nullptr) on_->release(data_);
}

device_buffer::device_buffer(device_buffer&& other) noexcept
    : on_(other.on_),
      data_(std::exchange(other.data_, nullptr)),
      bytes_(std::exchange(other.bytes_, 0)) {}

device_buffer& device_buffer::operator=(device_buffer&& other) noexcept {
  std::swap(on_, other.on_);
  std::swap(data_, other.data_);
  std::swap(bytes_, other.bytes_);
  return *this;
}

status device_buffer::reserve(device& on, std::uint64_t bytes, const std::string& owner) {
  if (bytes <= bytes_) return {};
  if (data_ != nullptr) on.release(data_);
  data_ = nullptr;
  bytes_ = 0;
  auto made = on.allocate(bytes, owner);
  if (!made) return made.failure();
  on_ = &on;
  data_ = *made;
  bytes_ = bytes;
  return {};
}

}  // namespace cuda

result<std::vector<cuda_device>> cuda_devices() {
  // Nothing here may end the process, whatever state the driver is in.
  const auto refused = [](int code) {
    (void)cudaGetLastError();
    return error{
        error_code::unsupported,
        "no GPU can be used: CUDA says " + std::to_string(code) + ", " + cuda::words_of(code),
        "install NVIDIA's driver, or set inference.engine to cpu"};
  };
  const gpu_sensors sensors;
  int count = 0;
  if (const int code = cudaGetDeviceCount(&count); code != 0) return refused(code);
  std::vector<cuda_device> found;
  int trouble = 0;
  for (int i = 0; i < count; ++i) {
    cudaDeviceProp properties{};
    if (const int code = cudaGetDeviceProperties(&properties, i); code != 0) {
      trouble = code;  // one that is broken leaves the others
      (void)cudaGetLastError();
      continue;
    }
    cuda_device d{.index = i,
                  .name = properties.name,
                  .compute_capability = properties.major * 10 + properties.minor,
                  .multiprocessors = properties.multiProcessorCount,
                  .memory_bytes = properties.totalGlobalMem,
                  .bus_id = cuda::bus_id_of(properties)};
    if (d.compute_capability < cuda::capability_least) continue;
    cuda::read_state(d, sensors);
    found.push_back(std::move(d));
  }
  if (found.empty() && trouble != 0) return refused(trouble);
  if (found.empty())
    return error{error_code::unsupported,
                 std::to_string(count) + " GPUs, none of compute capability 8.0 or more",
                 "set inference.engine to cpu"};
  return found;
}

}  // namespace troupe::kernels
