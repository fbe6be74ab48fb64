// The CUDA runtime as owned objects: streams, events, pinned memory, and one device's memory pools.
//
// Ownership: each object frees what it holds; a buffer must go before its device. Threading: a
// device is shared by the engines on it and locks its pools; all else belongs to one thread at a
// time, which has called device::bind().
#pragma once

#include <cuda_runtime_api.h>

#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <utility>

#include "kernels/backend/cuda/devices/memory_pools.hpp"
#include "kernels/backend/cuda/devices/resident_models.hpp"
#include "kernels/cuda_engine.hpp"

namespace troupe::kernels::cuda {

// Nothing where `code` is fine; an error as a value; or, where the context is lost, the end of the
// process with a line on stderr.
status check(int code, const std::string& doing);
// That end, for a device that is lost without a code.
[[noreturn]] void end_process(const std::string& doing, const std::string& why);

// Launches that were recorded from a stream, started again as one.
class recorded_graph {
 public:
  recorded_graph(recorded_graph&& other) noexcept : graph_(std::exchange(other.graph_, nullptr)) {}
  recorded_graph& operator=(recorded_graph&& other) noexcept {
    std::swap(graph_, other.graph_);
    return *this;
  }
  ~recorded_graph();
  cudaGraphExec_t get() const { return graph_; }

 private:
  friend class stream;
  explicit recorded_graph(cudaGraphExec_t graph) : graph_(graph) {}
  cudaGraphExec_t graph_;
};

class event;

class stream {
 public:
  static result<std::unique_ptr<stream>> make();
  ~stream();
  stream(const stream&) = delete;
  stream& operator=(const stream&) = delete;
  cudaStream_t get() const { return stream_; }
  status wait(const std::string& doing) const;
  // What is launched here from now on waits for the event; the host does not.
  status wait_for(const event& passed) const;
  // Between the two, this thread's launches on the stream are recorded and not run; nothing may be
  // waited for or allocated. end_recording() must follow, whatever became of the launches.
  status begin_recording() const;
  result<recorded_graph> end_recording() const;
  status start(const recorded_graph& graph) const;

 private:
  stream() = default;
  cudaStream_t stream_ = nullptr;
};

class event {
 public:
  static result<std::unique_ptr<event>> make(bool timed);
  ~event();
  event(const event&) = delete;
  cudaEvent_t get() const { return event_; }
  event& operator=(const event&) = delete;
  status record(const stream& on);
  status wait();
  // Where it was never recorded, it has passed.
  result<bool> passed() const;
  // Between two timed events that have passed.
  static result<double> seconds(const event& begin, const event& end);

 private:
  event() = default;
  cudaEvent_t event_ = nullptr;
};

// Host memory that the device copies to and from while the host goes on.
class pinned_bytes {
 public:
  pinned_bytes() = default;
  ~pinned_bytes();
  pinned_bytes(const pinned_bytes&) = delete;
  pinned_bytes& operator=(const pinned_bytes&) = delete;
  // Room for `bytes`; what was in it is lost where it grows.
  status reserve(std::uint64_t bytes);
  std::uint8_t* data() const { return data_; }
  std::uint64_t size() const { return bytes_; }

 private:
  std::uint8_t* data_ = nullptr;
  std::uint64_t bytes_ = 0;
};

class device {
 public:
  // The one object of that GPU; it lives as long as somebody holds it, and its first holder's
  // settings count. Errors: as cuda_devices(), invalid_argument.
  static result<std::shared_ptr<device>> open(const cuda_settings& settings);
  ~device();
  device(const device&) = delete;
  device& operator=(const device&) = delete;

  const cuda_device& description() const { return description_; }
  // Makes this the calling thread's device.
  status bind() const;
  result<std::uint8_t*> allocate(std::uint64_t bytes, const std::string& owner);
  void release(std::uint8_t* memory);
  std::uint64_t used_by(const std::string& owner);
  std::uint64_t largest(const std::string& owner);  // memory_pools.hpp
  pool_state state(pool_size of);

  // Whether a model's weights fit beside those that are resident; the error names which could go.
  status admit(const std::string& name, std::uint64_t bytes);
  void leave(const std::string& name);
  void use(const std::string& name);

 private:
  class runtime_source;
  device() = default;

  cuda_device description_;
  std::mutex guard_;
  std::unique_ptr<stream> allocations_;
  std::unique_ptr<memory_source> source_;
  std::unique_ptr<memory_pools> pools_;
  std::unique_ptr<resident_models> resident_;
};

// A piece of a device's pools.
class device_buffer {
 public:
  device_buffer() = default;
  ~device_buffer();
  device_buffer(device_buffer&& other) noexcept;
  device_buffer& operator=(device_buffer&& other) noexcept;
  // Room for `bytes`; what was in it is lost where it grows. Nothing on the device may use it then.
  status reserve(device& on, std::uint64_t bytes, const std::string& owner);
  template <class T>
  T* as() const {
    return reinterpret_cast<T*>(data_);
  }
  std::uint64_t size() const { return bytes_; }

 private:
  device* on_ = nullptr;
  std::uint8_t* data_ = nullptr;
  std::uint64_t bytes_ = 0;
};

}  // namespace troupe::kernels::cuda
