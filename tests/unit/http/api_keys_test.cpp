// API keys: made once, kept as hashes, read only from a private file, and read again.
#include <doctest/doctest.h>
#include <stdlib.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>

#include "cluster/http/api_key_file.hpp"

using namespace troupe;
using namespace troupe::http;

namespace {

made_key made(const std::string& name, scope_set scopes, std::uint8_t random = 1) {
  std::array<std::uint8_t, key_random_bytes> bytes{};
  for (std::size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<std::uint8_t>(random + i);
  return make_key(name, scopes, bytes);
}

struct private_file {
  std::filesystem::path folder;
  std::string path;
  private_file() {
    std::string name = (std::filesystem::temp_directory_path() / "keys-XXXXXX").string();
    REQUIRE(::mkdtemp(name.data()) != nullptr);
    folder = name;
    path = (folder / "keys").string();
  }
  ~private_file() { std::filesystem::remove_all(folder); }
  void put(const std::string& text, ::mode_t mode = 0600) const {
    std::ofstream(path) << text;
    ::chmod(path.c_str(), mode);
  }
};

}  // namespace

TEST_CASE("a key is found by itself alone, with its scopes, and is not in its line") {
  const made_key a = made("laptop", {scope::viewer, scope::submitter});
  const made_key b = made("ops", {scope::ops}, 99);
  CHECK(a.token.size() == 67);
  CHECK(line_of(a.key).find(a.token.substr(3)) == std::string::npos);
  const auto read =
      key_list::parse("# a comment\n\n" + line_of(a.key) + "\r\n" + line_of(b.key) + "\n", "F");
  REQUIRE(read.ok());
  REQUIRE(read->find(a.token) != nullptr);
  CHECK(read->find(a.token)->name == "laptop");
  CHECK(read->find(a.token)->scopes == scope_set{scope::submitter, scope::viewer});
  CHECK(read->find(b.token)->name == "ops");
  for (std::size_t i = 0; i < a.token.size(); ++i) {
    std::string other = a.token;
    other[i] ^= 1;
    CHECK(read->find(other) == nullptr);
  }
  CHECK(read->find("") == nullptr);
  CHECK(read->find(a.token + "0") == nullptr);
  CHECK(read->find(std::string(100'000, 'k')) == nullptr);
  CHECK(key_list().find(a.token) == nullptr);
  // The same key under another salt is another hash.
  auto salted = a.key;
  salted.salt[0] ^= 1;
  CHECK(key_list::parse(line_of(salted), "F")->find(a.token) == nullptr);
}

TEST_CASE("a file with a line that is none is refused, by number and without its words") {
  const std::string fine = line_of(made("a", {scope::viewer}).key);
  const auto refused = [&](const std::string& text) {
    const auto read = key_list::parse(text, "F");
    return read.ok() ? std::string() : read.failure().text();
  };
  const std::string plain = refused(fine + "\nsecret-one\n");
  CHECK(plain.find("line 2") != std::string::npos);
  CHECK(plain.find("secret-one") == std::string::npos);
  CHECK(plain.find("troupe api-key make") != std::string::npos);
  CHECK_FALSE(refused(fine + "\n" + fine).empty());  // one name twice
  CHECK_FALSE(refused(fine.substr(0, fine.size() - 1)).empty());
  CHECK_FALSE(refused(fine + " more").empty());
  for (const char* scopes : {"", "root", "viewer,viewer", "viewer,", ",", "Viewer"}) {
    std::string other = fine;
    other.replace(other.find("viewer"), 6, scopes);
    CAPTURE(scopes);
    CHECK_FALSE(refused(other).empty());
  }
  std::string name = fine;
  name.replace(3, 1, "a/b");
  CHECK_FALSE(refused(name).empty());
  std::string many;
  for (std::size_t i = 0; i <= key_list::keys_max; ++i)
    many += line_of(made("k" + std::to_string(i), {scope::viewer}).key) + "\n";
  CHECK_FALSE(refused(many).empty());
}

TEST_CASE("a key file is private, and changed in one step") {
  const private_file file;
  CHECK(read_key_file(file.path).failure().code == error_code::not_found);
  file.put(line_of(made("a", {scope::viewer}).key), 0640);
  CHECK(read_key_file(file.path).failure().code == error_code::permission_denied);
  CHECK(read_key_file(file.folder.string()).failure().code == error_code::invalid_argument);
  ::chmod(file.path.c_str(), 0600);
  REQUIRE(change_key_file(file.path, [](std::vector<api_key>& keys) -> status {
            keys.push_back(made("b", {scope::chaos}).key);
            return {};
          }).ok());
  const auto read = read_key_file(file.path);
  REQUIRE(read.ok());
  REQUIRE(read->keys.keys().size() == 2);
  CHECK(read->keys.keys()[1].name == "b");
  struct stat facts {};
  ::stat(file.path.c_str(), &facts);
  CHECK((facts.st_mode & 0777) == 0600);
  CHECK_FALSE(change_key_file(file.path, [](std::vector<api_key>& keys) -> status {
                keys.clear();
                return error{error_code::not_found, "no", ""};
              }).ok());
  CHECK(read_key_file(file.path)->keys.keys().size() == 2);
}

TEST_CASE("a changed file counts within a second; a broken one leaves the keys that were") {
  const private_file file;
  const made_key a = made("a", {scope::viewer}), b = made("b", {scope::ops}, 50);
  file.put(line_of(a.key) + "\n");
  std::vector<key_change> told;
  key_watch watch(file.path, *read_key_file(file.path),
                  [&](const key_change& change) { told.push_back(change); });
  auto when = key_watch::clock::now() + std::chrono::seconds(10);
  const auto later = [&] { return watch.now(when += std::chrono::seconds(1)); };
  CHECK(later()->find(a.token) != nullptr);
  CHECK(told.empty());
  file.put(line_of(b.key) + "\n");
  CHECK(watch.now(when)->find(b.token) == nullptr);  // not yet a second
  CHECK(later()->find(b.token) != nullptr);
  CHECK(later()->find(a.token) == nullptr);
  REQUIRE(told.size() == 1);
  CHECK(told[0].added == std::vector<std::string>{"b"});
  CHECK(told[0].removed == std::vector<std::string>{"a"});
  file.put("plain-key\n");
  CHECK(later()->find(b.token) != nullptr);
  CHECK(later()->find(b.token) != nullptr);
  REQUIRE(told.size() == 2);  // told once, not each second
  CHECK(told[1].failure.has_value());
  std::filesystem::remove(file.path);
  CHECK(later()->find(b.token) != nullptr);
  CHECK(told.size() == 3);
  file.put(line_of(a.key) + "\n", 0644);
  CHECK(later()->find(a.token) == nullptr);
  ::chmod(file.path.c_str(), 0600);
  CHECK(later()->find(a.token) != nullptr);
  auto more = a.key;
  more.scopes.add(scope::admin);
  file.put(line_of(more) + "\n");
  CHECK(later()->find(a.token)->scopes.has(scope::admin));
  CHECK(told.back().altered == std::vector<std::string>{"a"});
  file.put("");  // the last one was revoked
  CHECK(later()->find(a.token) == nullptr);
}
