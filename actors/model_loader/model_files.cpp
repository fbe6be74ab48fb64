#include "actors/model_loader/model_files.hpp"

#include <fcntl.h>
#include <spdlog/spdlog.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <fstream>
#include <map>
#include <sstream>
#include <system_error>

#include "kernels/model/model.hpp"

namespace troupe {
namespace {

namespace fs = std::filesystem;

error disk_error(std::string_view what, const fs::path& path, int number) {
  const bool full = number == ENOSPC || number == EDQUOT;
  return {full               ? error_code::resource_exhausted
          : number == ENOENT ? error_code::not_found
                             : error_code::unavailable,
          std::string{what} + " " + path.string() + ": " + std::generic_category().message(number),
          full ? "free some space on that disk, then load the model again" : ""};
}

class open_file {
 public:
  open_file(const fs::path& path, int flags) : fd_(::open(path.c_str(), flags | O_CLOEXEC, 0644)) {}
  ~open_file() {
    if (fd_ >= 0) ::close(fd_);
  }
  open_file(const open_file&) = delete;
  open_file& operator=(const open_file&) = delete;
  int fd() const { return fd_; }
  bool ok() const { return fd_ >= 0; }

 private:
  int fd_;
};

std::optional<found_file> look_at(const fs::path& path) {
  struct stat about {};
  if (::stat(path.c_str(), &about) != 0 || !S_ISREG(about.st_mode)) return std::nullopt;
  found_file file;
  file.path = path;
  file.size_bytes = static_cast<std::uint64_t>(about.st_size);
  file.modified_ns = about.st_mtim.tv_sec * 1'000'000'000LL + about.st_mtim.tv_nsec;
  return file;
}

class disk_model_files final : public model_files {
 public:
  explicit disk_model_files(const loader_settings& settings) : settings_(settings) {
    if (settings_.fetch_directory.empty() && !settings_.directories.empty())
      settings_.fetch_directory = settings_.directories.front();
    std::error_code ignored;  // a directory that cannot be made is told when it is used
    for (const fs::path& directory : settings_.directories)
      fs::create_directories(directory, ignored);
    if (!settings_.fetch_directory.empty())
      fs::create_directories(settings_.fetch_directory, ignored);
    if (settings_.state_file.has_parent_path())
      fs::create_directories(settings_.state_file.parent_path(), ignored);
  }

  std::vector<found_file> scan() override {
    std::vector<found_file> files;
    for (const configured_model& model : settings_.models) {
      if (auto file = look_at(model.path)) {
        file->alias = model.name;
        files.push_back(std::move(*file));
      } else {
        spdlog::warn("model_missing path={}", model.path.string());
      }
    }
    std::vector<fs::path> directories = settings_.directories;
    directories.push_back(settings_.fetch_directory);
    for (const fs::path& directory : directories) {
      std::error_code wrong;
      for (fs::directory_iterator at{directory, wrong}, end; !wrong && at != end;
           at.increment(wrong))
        if (at->path().extension() == ".gguf")
          if (auto file = look_at(at->path())) files.push_back(std::move(*file));
    }
    // Configured names go first; a file that is found twice counts once.
    std::vector<found_file> distinct;
    for (found_file& file : files) {
      const auto same = [&](const found_file& other) {
        std::error_code wrong;
        return other.path == file.path || fs::equivalent(other.path, file.path, wrong);
      };
      if (std::none_of(distinct.begin(), distinct.end(), same)) distinct.push_back(std::move(file));
    }
    std::stable_sort(
        distinct.begin(), distinct.end(), [](const found_file& a, const found_file& b) {
          return a.alias.empty() != b.alias.empty() ? b.alias.empty() : a.path < b.path;
        });
    return distinct;
  }

  result<std::string> digest(const fs::path& path) override { return kernels::file_digest(path); }

  result<model_facts> describe(const fs::path& path) override {
    auto opened = kernels::model::open(path);
    if (!opened) return opened.failure();
    const kernels::model& model = **opened;
    model_facts facts;
    facts.architecture = "llama";
    if (auto named = model.file->text("general.architecture"); named && *named)
      facts.architecture = **named;
    facts.context_tokens = model.shape.context_tokens;
    facts.need = kernels::cpu_memory_need(model, settings_.kv);
    for (std::uint32_t i = 0; i < model.shape.layers; ++i)
      facts.layers.push_back(kernels::cpu_memory_need(model, settings_.kv, {i, i + 1}));
    facts.words = model.words;
    facts.chat = chat_facts_of(*model.file, *model.words);
    std::map<std::string_view, std::uint64_t> elements_by_type;
    for (const kernels::tensor_view& tensor : model.file->tensors()) {
      const std::uint64_t elements = tensor.row_length() * tensor.rows();
      facts.parameters += elements;
      elements_by_type[kernels::row_of(tensor.type).name] += elements;
    }
    std::uint64_t most = 0;
    for (const auto& [type, elements] : elements_by_type) {
      if (elements <= most) continue;
      most = elements;
      facts.quantization = type;
    }
    return facts;
  }

  result<std::string> read(const fs::path& path, std::uint64_t offset,
                           std::uint32_t length) override {
    const open_file file{path, O_RDONLY};
    if (!file.ok()) return disk_error("cannot open", path, errno);
    std::string bytes(length, '\0');
    std::size_t got = 0;
    while (got < bytes.size()) {
      const ssize_t n = ::pread(file.fd(), bytes.data() + got, bytes.size() - got,
                                static_cast<off_t>(offset + got));
      if (n < 0 && errno == EINTR) continue;
      if (n < 0) return disk_error("cannot read", path, errno);
      if (n == 0) break;
      got += static_cast<std::size_t>(n);
    }
    bytes.resize(got);
    return bytes;
  }

  result<std::uint64_t> open_partial(const std::string& name, std::uint64_t size_bytes,
                                     bool resume) override {
    if (settings_.fetch_directory.empty())
      return error{error_code::unsupported, "no directory for fetched models is configured",
                   "name one in the settings"};
    const fs::path path = partial_path(name);
    const open_file file{path, O_WRONLY | O_CREAT | (resume ? 0 : O_TRUNC)};
    if (!file.ok()) return disk_error("cannot write", path, errno);
    struct stat about {};
    if (::fstat(file.fd(), &about) != 0) return disk_error("cannot look at", path, errno);
    auto held = static_cast<std::uint64_t>(about.st_size);
    if (held > size_bytes) {
      if (::ftruncate(file.fd(), 0) != 0) return disk_error("cannot cut", path, errno);
      held = 0;
    }
    std::error_code wrong;
    const fs::space_info room = fs::space(settings_.fetch_directory, wrong);
    if (!wrong && room.available < size_bytes - held)
      return error{error_code::resource_exhausted,
                   "disk full: " + path.string() + " needs " + std::to_string(size_bytes - held) +
                       " more bytes, " + std::to_string(room.available) + " are free",
                   "free some space on that disk, then load the model again"};
    return held;
  }

  result<std::uint64_t> write_partial(const std::string& name, std::uint64_t offset,
                                      std::string_view bytes) override {
    const fs::path path = partial_path(name);
    const open_file file{path, O_WRONLY};
    if (!file.ok()) return disk_error("cannot write", path, errno);
    while (!bytes.empty()) {
      const ssize_t n = ::pwrite(file.fd(), bytes.data(), bytes.size(), static_cast<off_t>(offset));
      if (n < 0 && errno == EINTR) continue;
      if (n < 0) return disk_error("cannot write", path, errno);
      offset += static_cast<std::uint64_t>(n);
      bytes.remove_prefix(static_cast<std::size_t>(n));
    }
    return offset;
  }

  result<found_file> finish_partial(const std::string& name, const std::string& digest) override {
    const fs::path path = partial_path(name);
    const auto found = kernels::file_digest(path);
    if (!found) return found.failure();
    std::error_code wrong;
    if (*found != digest) {
      fs::remove(path, wrong);
      return error{error_code::data_corrupt,
                   "the fetched file has digest " + *found + ", but " + digest +
                       " was asked for; it was deleted",
                   "load the model again, and check the disk of the node it came from"};
    }
    {
      const open_file file{path, O_WRONLY};
      if (!file.ok() || ::fsync(file.fd()) != 0) return disk_error("cannot write", path, errno);
    }
    fs::path final_path = settings_.fetch_directory / (name + ".gguf");
    if (fs::exists(final_path, wrong))
      final_path = settings_.fetch_directory / (name + "-" + digest.substr(0, 8) + ".gguf");
    fs::rename(path, final_path, wrong);
    if (wrong) return disk_error("cannot rename", path, wrong.value());
    auto file = look_at(final_path);
    if (!file) return disk_error("cannot look at", final_path, errno);
    return *file;
  }

  std::string load_memory() override {
    if (settings_.state_file.empty()) return {};
    std::ifstream file{settings_.state_file, std::ios::binary};
    std::ostringstream text;
    text << file.rdbuf();
    return text.str();
  }

  void save_memory(const std::string& text) override {
    if (settings_.state_file.empty()) return;
    fs::path fresh = settings_.state_file;
    fresh += ".new";
    std::ofstream file{fresh, std::ios::binary | std::ios::trunc};
    file << text;
    file.close();
    std::error_code wrong;
    if (file) fs::rename(fresh, settings_.state_file, wrong);
    if (!file || wrong)
      spdlog::warn("loader_state_not_saved path={}", settings_.state_file.string());
  }

 private:
  // `name` is safe: the core lets no other through.
  fs::path partial_path(const std::string& name) const {
    return settings_.fetch_directory / (name + ".partial");
  }

  loader_settings settings_;
};

}  // namespace

std::unique_ptr<model_files> make_disk_model_files(const loader_settings& settings) {
  return std::make_unique<disk_model_files>(settings);
}

std::optional<loader_report> carry_out(const loader_command& command, model_files& files) {
  if (std::holds_alternative<scan_files>(command)) return files_scanned{files.scan()};
  if (const auto* wish = std::get_if<examine_file>(&command)) {
    file_examined report{wish->path, wish->size_bytes, wish->modified_ns};
    result<std::string> digest = wish->known_digest.empty()
                                     ? files.digest(wish->path)
                                     : result<std::string>{wish->known_digest};
    if (!digest) {
      report.facts = digest.failure();
      return report;
    }
    report.facts = files.describe(wish->path);
    if (report.facts) report.facts->digest = *digest;
    return report;
  }
  if (const auto* wish = std::get_if<open_partial>(&command))
    return partial_opened{wish->name,
                          files.open_partial(wish->name, wish->size_bytes, wish->resume)};
  if (const auto* wish = std::get_if<write_partial>(&command))
    return partial_written{wish->name, files.write_partial(wish->name, wish->offset, wish->bytes)};
  if (const auto* wish = std::get_if<finish_partial>(&command))
    return partial_finished{wish->name, files.finish_partial(wish->name, wish->digest),
                            wish->digest};
  return std::nullopt;
}

envelope_ptr bytes_served(const serve_bytes& command, model_files& files) {
  auto bytes = files.read(command.path, command.offset, command.length);
  if (!bytes) return refuse(*command.request, bytes.failure());
  auto reply = std::make_shared<proto::Envelope>(reply_to(*command.request));
  proto::ModelBytes& piece = *reply->mutable_model_bytes();
  piece.set_digest(command.digest);
  piece.set_offset(command.offset);
  piece.set_total_bytes(command.total_bytes);
  piece.set_data(std::move(*bytes));
  return reply;
}

}  // namespace troupe
