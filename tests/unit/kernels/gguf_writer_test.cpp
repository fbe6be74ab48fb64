#include <doctest/doctest.h>

#include "gguf_sample.hpp"

using namespace troupe;
using namespace troupe::kernels;

namespace {

std::size_t entries(const std::filesystem::path& folder) {
  return static_cast<std::size_t>(std::distance(std::filesystem::directory_iterator(folder), {}));
}

}  // namespace

TEST_CASE("a file is there only once it is finished") {
  const sample::temporary_folder folder;
  const std::vector<std::byte> data(32);
  {
    gguf_writer writer(folder / "m.gguf");
    writer.add_tensor("a", tensor_type::f32, {8});
    REQUIRE(writer.write_tensor(data).ok());
    CHECK_FALSE(std::filesystem::exists(folder / "m.gguf"));
    REQUIRE(writer.finish().ok());
    CHECK(std::filesystem::exists(folder / "m.gguf"));
    CHECK_FALSE(writer.finish().ok());
  }
  {
    gguf_writer abandoned(folder / "n.gguf");
    abandoned.add_tensor("a", tensor_type::f32, {8});
    REQUIRE(abandoned.write_tensor(data).ok());
  }
  CHECK(entries(folder.path()) == 1);
}

TEST_CASE("two writers of one file do not disturb each other: the last to finish stays") {
  const sample::temporary_folder folder;
  gguf_writer first(folder / "m.gguf"), second(folder / "m.gguf");
  std::vector<std::byte> data(32);
  first.add_tensor("first", tensor_type::f32, {8});
  second.add_tensor("second", tensor_type::f32, {8});
  REQUIRE(first.write_tensor(data).ok());
  REQUIRE(second.write_tensor(data).ok());
  REQUIRE(second.finish().ok());
  REQUIRE(first.finish().ok());
  CHECK(entries(folder.path()) == 1);
  const auto read = gguf_file::open(folder / "m.gguf");
  REQUIRE(read.ok());
  CHECK((*read)->find_tensor("first") != nullptr);
}

TEST_CASE("tensors that were promised must come, whole and in order") {
  const sample::temporary_folder folder;
  const std::vector<std::byte> data(32);
  gguf_writer missing(folder / "m.gguf");
  missing.add_tensor("a", tensor_type::f32, {8});
  CHECK(missing.finish().failure().message.find("'a'") != std::string::npos);
  gguf_writer wrong(folder / "m.gguf");
  wrong.add_tensor("a", tensor_type::f32, {9});
  CHECK(wrong.write_tensor(data).failure().message.find("36") != std::string::npos);
  CHECK_FALSE(wrong.finish().ok());
  gguf_writer extra(folder / "m.gguf");
  CHECK_FALSE(extra.write_tensor(data).ok());
  CHECK(entries(folder.path()) == 0);
}

TEST_CASE("names and shapes that the reader refuses are refused when written") {
  const sample::temporary_folder folder;
  const auto refused = [&](const std::string& name, tensor_type type,
                           std::vector<std::uint64_t> shape) {
    gguf_writer writer(folder / "m.gguf");
    writer.add_tensor(name, type, std::move(shape));
    return !writer.finish().ok() && entries(folder.path()) == 0;
  };
  CHECK(refused("", tensor_type::f32, {8}));
  CHECK(refused(std::string(65, 'x'), tensor_type::f32, {8}));
  CHECK(refused("a", tensor_type::f32, {}));
  CHECK(refused("a", tensor_type::f32, {8, 0}));
  CHECK(refused("a", tensor_type::q8_0, {33}));
  CHECK(refused("a", tensor_type::f32, {1ULL << 40, 1ULL << 40}));
  gguf_writer twice(folder / "m.gguf");
  twice.add_tensor("a", tensor_type::f32, {8});
  twice.add_tensor("a", tensor_type::f32, {8});
  CHECK_FALSE(twice.write_tensor(std::vector<std::byte>(32)).ok());
}

TEST_CASE("a folder that is not there is said to be so") {
  const sample::temporary_folder folder;
  gguf_writer writer(folder / "absent/m.gguf");
  CHECK(writer.finish().failure().code == error_code::not_found);
}

TEST_CASE("metadata copied from another file keeps its types and bytes") {
  const sample::temporary_folder folder;
  gguf_writer first(folder / "one.gguf");
  first.set("b.word", std::string("text"));
  first.set("a.number", std::uint32_t{7});
  first.set("a.number", std::uint32_t{8});
  first.set_raw("c.small", std::uint64_t{200}, 0);
  first.set_raw("d.shorts", std::vector<std::int64_t>{-3, 4}, 3);
  first.set_raw("e.double", 0.1, 12);
  first.set_raw("f.flags", std::vector<bool>{true, false}, 7);
  first.set("g.words", std::vector<std::string>{"x", "y"});
  REQUIRE(first.finish().ok());
  const auto read = gguf_file::open(folder / "one.gguf");
  REQUIRE(read.ok());
  CHECK(*(*read)->unsigned_number("a.number") == 8U);
  gguf_writer copy(folder / "two.gguf");
  gguf_writer again(folder / "three.gguf");
  for (const auto& [key, value] : (*read)->metadata())
    copy.set_raw(key, value, *(*read)->metadata_type(key));
  REQUIRE(copy.finish().ok());
  const auto copied = gguf_file::open(folder / "two.gguf");
  REQUIRE(copied.ok());
  for (const auto& [key, value] : (*copied)->metadata())
    again.set_raw(key, value, *(*copied)->metadata_type(key));
  REQUIRE(again.finish().ok());
  CHECK((*copied)->metadata() == (*read)->metadata());
  for (const auto& [key, value] : (*read)->metadata())
    CHECK((*copied)->metadata_type(key) == (*read)->metadata_type(key));
  CHECK(sample::read_bytes(folder / "two.gguf") == sample::read_bytes(folder / "three.gguf"));
}

TEST_CASE("a value that its type cannot hold is refused") {
  const sample::temporary_folder folder;
  const auto refused = [&](const metadata_value& value, std::uint32_t type) {
    gguf_writer writer(folder / "m.gguf");
    writer.set_raw("k", value, type);
    return !writer.finish().ok();
  };
  CHECK(refused(std::uint64_t{256}, 0));
  CHECK(refused(std::int64_t{-129}, 1));
  CHECK(refused(std::uint64_t{1}, 8));
  CHECK(refused(1.0, 4));
  CHECK(refused(std::uint64_t{1}, 99));
  CHECK_FALSE(refused(std::uint64_t{255}, 0));
}
