#include <doctest/doctest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <thread>

#include "cluster/keys/allow_file.hpp"
#include "cluster/keys/key_file.hpp"

namespace troupe::keys {
namespace {

namespace fs = std::filesystem;

struct scratch {
  fs::path path;
  scratch() {
    std::string name = (fs::temp_directory_path() / "troupe-keys-XXXXXX").string();
    REQUIRE(::mkdtemp(name.data()) != nullptr);
    path = name;
  }
  ~scratch() {
    std::error_code ignored;
    fs::remove_all(path, ignored);
  }
};

std::string hex(char digit) {
  return std::string(64, digit);
}

public_key key(char digit) {
  return *public_key::parse(hex(digit));
}

key_pair pair_in_test() {
  return {*public_key::parse(hex('a')), *secret_key::parse(hex('b'))};
}

mode_t mode_of(const fs::path& file) {
  struct stat about {};
  REQUIRE(::stat(file.c_str(), &about) == 0);
  return about.st_mode & 07777;
}

void write(const fs::path& file, const std::string& text) {
  std::ofstream(file) << text;
}

TEST_CASE("a key is 64 hexadecimal digits, not all of them zero") {
  const std::string text = "00112233445566778899aabbccddeeff0123456789abcdefFEDCBA9876543210";
  const auto parsed = public_key::parse(text);
  REQUIRE(parsed);
  CHECK(parsed->bytes()[1] == 0x11);
  CHECK(parsed->bytes()[31] == 0x10);
  CHECK(parsed->text() == "00112233445566778899aabbccddeeff0123456789abcdeffedcba9876543210");
  CHECK(public_key::parse(parsed->text()) == parsed);
  CHECK_FALSE(public_key::parse(""));
  CHECK_FALSE(public_key::parse(hex('0')));
  CHECK_FALSE(public_key::parse(text.substr(1)));
  CHECK_FALSE(public_key::parse(text + "0"));
  CHECK_FALSE(public_key::parse(hex('a').replace(5, 1, "g")));
  CHECK(public_key().empty());
}

TEST_CASE("a pair is written for its owner's eyes only, and never over another") {
  const scratch folder;
  const fs::path file = folder.path / "deep" / "er" / "node.key";
  REQUIRE(write_key_file(file, pair_in_test()).ok());
  CHECK(mode_of(file) == 0600);
  CHECK(mode_of(file.parent_path()) == 0700);
  const auto back = read_key_file(file);
  REQUIRE(back);
  CHECK(back->shown == pair_in_test().shown);
  CHECK(back->kept == pair_in_test().kept);
  const status again = write_key_file(file, {key('c'), *secret_key::parse(hex('d'))});
  REQUIRE_FALSE(again.ok());
  CHECK(again.failure().code == error_code::already_exists);
  CHECK(read_key_file(file)->shown == pair_in_test().shown);
  for (const auto& left : fs::directory_iterator(file.parent_path()))
    CHECK(left.path() == file);  // nothing beside it
}

TEST_CASE("a key file that others can read or write is refused, and says how to mend it") {
  const scratch folder;
  const fs::path file = folder.path / "node.key";
  REQUIRE(write_key_file(file, pair_in_test()).ok());
  for (const mode_t mode : {0640, 0604, 0620, 0602, 0644}) {
    REQUIRE(::chmod(file.c_str(), mode) == 0);
    const auto refused = read_key_file(file);
    REQUIRE_FALSE(refused);
    CHECK(refused.failure().code == error_code::permission_denied);
    CHECK(refused.failure().message.find(file.string()) != std::string::npos);
    CHECK(refused.failure().mend.find("chmod 0600") != std::string::npos);
    CHECK(refused.failure().text().find(hex('b')) == std::string::npos);
  }
  REQUIRE(::chmod(file.c_str(), 0400) == 0);
  CHECK(read_key_file(file));
  const auto missing = read_key_file(folder.path / "none");
  REQUIRE_FALSE(missing);
  CHECK(missing.failure().code == error_code::not_found);
  CHECK(missing.failure().mend.find("troupe keys make") != std::string::npos);
  CHECK_FALSE(read_key_file(folder.path));
}

TEST_CASE("a key file says both keys once, and nothing else; errors do not repeat a secret") {
  const std::string open = "public " + hex('a') + "\n", secret = "secret " + hex('b') + "\n";
  CHECK(parse_key_file(open + secret, "f"));
  CHECK(parse_key_file("# x\n\n" + secret + "\r\n" + open, "f"));
  for (const std::string& text :
       {std::string(), open, secret, open + open + secret, open + secret + secret,
        open + "secret " + hex('0') + "\n", open + "secret " + hex('b').substr(1) + "\n",
        open + secret + "more\n", "x" + open + secret, open + "SECRET " + hex('b')}) {
    const auto refused = parse_key_file(text, "the-file");
    REQUIRE_FALSE(refused);
    CHECK(refused.failure().code == error_code::data_corrupt);
    CHECK(refused.failure().message.starts_with("the-file"));
    CHECK(refused.failure().text().find(hex('b').substr(1)) == std::string::npos);
  }
}

TEST_CASE("an allow list tells keys, names, roles and addresses") {
  const auto list =
      parse_allow_list("# who\n\n node a " + hex('a') + "\ttcp://10.0.0.1:7411 # one\n" +
                           "client laptop " + hex('b') + "\r\nnode a " + hex('c') + " host:1",
                       "f");
  REQUIRE_MESSAGE(list, list.failure().text());
  REQUIRE(list->all().size() == 3);
  CHECK(*list->find(key('a')) == allowed_key{key_role::node, "a", key('a'), "tcp://10.0.0.1:7411"});
  CHECK(list->find(key('b'))->role == key_role::client);
  CHECK(list->find(key('d')) == nullptr);
  CHECK(list->at("tcp://host:1")->key == key('c'));
  CHECK(list->at("tcp://host:2") == nullptr);
  CHECK(list->at("") == nullptr);
}

TEST_CASE("a list with a mistake is refused as a whole, with every mistake's line") {
  const std::string good = "node good " + hex('9') + "\n";
  const std::vector<std::string> bad = {
      "node",
      "node a",
      "node a " + hex('a') + " h:1 more",
      "king a " + hex('a'),
      "node a " + hex('a').substr(1),
      "node a " + hex('0'),
      "node a/b " + hex('a'),
      "node client-a " + hex('a'),
      "node a " + hex('a') + " nowhere",
      "node a " + hex('a') + " h:0",
      "node a " + hex('a') + " h:65536",
      "client a " + hex('a') + " h:1",
      "node b " + hex('9'),       // the key is good's
      "client good " + hex('a'),  // good is a node
      "node " + std::string(65, 'n') + " " + hex('a'),
  };
  std::string all = good;
  for (const std::string& line : bad) {
    const auto refused = parse_allow_list(good + line + "\n", "f");
    REQUIRE_MESSAGE(!refused, line);
    CHECK(refused.failure().code == error_code::invalid_argument);
    CHECK(refused.failure().message.starts_with("f:2: "));
    all += line + "\n";
  }
  const auto refused = parse_allow_list(all, "f");
  REQUIRE_FALSE(refused);
  for (std::size_t i = 0; i < bad.size(); ++i)
    CHECK(refused.failure().message.find("f:" + std::to_string(i + 2) + ": ") != std::string::npos);
  CHECK(parse_allow_list("", "f")->all().empty());
}

TEST_CASE("the file is changed line by line; what a person wrote stays") {
  const scratch folder;
  const fs::path file = folder.path / "keys" / "allowed";
  CHECK(read_allow_file(file)->all().empty());  // missing: nobody
  REQUIRE(allow_key(file, {key_role::node, "a", key('a'), {}}).ok());
  std::string text;
  std::getline(std::ifstream(file), text, '\0');
  write(file, "# mine\n" + text + "  client  laptop " + hex('b') + "  # at home");
  REQUIRE(allow_key(file, {key_role::node, "c", key('c'), "tcp://h:1"}).ok());
  REQUIRE(allow_key(file, {key_role::node, "a", key('a'), "tcp://h:2"}).ok());  // now with address
  std::getline(std::ifstream(file), text, '\0');
  CHECK(text.find("# mine\n") != std::string::npos);
  CHECK(text.find("  client  laptop " + hex('b') + "  # at home\n") != std::string::npos);
  auto list = read_allow_file(file);
  REQUIRE(list);
  CHECK(list->all().size() == 3);
  CHECK(list->find(key('a'))->address == "tcp://h:2");
  const status twice = allow_key(file, {key_role::node, "x", key('a'), {}});
  REQUIRE_FALSE(twice.ok());
  CHECK(twice.failure().code == error_code::already_exists);
  CHECK(revoke_key(file, "nobody").failure().code == error_code::not_found);
  REQUIRE(revoke_key(file, "laptop").ok());
  REQUIRE(revoke_key(file, hex('c')).ok());
  list = read_allow_file(file);
  CHECK(list->all().size() == 1);
  REQUIRE(::chmod(file.c_str(), 0666) == 0);
  CHECK(read_allow_file(file).failure().code == error_code::permission_denied);
  CHECK(read_allow_file(file).failure().mend.find("chmod 0644") != std::string::npos);
  REQUIRE(::chmod(file.c_str(), 0644) == 0);  // reading it is no harm
  CHECK(read_allow_file(file));
}

TEST_CASE("many that change the file at once lose nothing") {
  const scratch folder;
  const fs::path file = folder.path / "allowed";
  REQUIRE(allow_key(file, {key_role::client, "c0", key('f'), {}}).ok());
  std::vector<std::thread> all;
  for (char c = '1'; c <= '8'; ++c)
    all.emplace_back([&, c] {
      CHECK(allow_key(file, {key_role::client, std::string("c") + c, key(c), {}}).ok());
    });
  for (std::thread& one : all) one.join();
  CHECK(read_allow_file(file)->all().size() == 9);
}

TEST_CASE("a watch tells once that the file changed, appeared or went") {
  const scratch folder;
  const fs::path file = folder.path / "allowed";
  allow_watch watch(file);
  CHECK_FALSE(watch.changed());
  REQUIRE(allow_key(file, {key_role::node, "a", key('a'), {}}).ok());
  CHECK(watch.changed());
  CHECK_FALSE(watch.changed());
  REQUIRE(revoke_key(file, "a").ok());
  CHECK(watch.changed());
  CHECK_FALSE(watch.changed());
  fs::remove(file);
  CHECK(watch.changed());
  CHECK_FALSE(watch.changed());
}

}  // namespace
}  // namespace troupe::keys
