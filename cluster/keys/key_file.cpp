#include "cluster/keys/key_file.hpp"

#include "cluster/keys/owned_file.hpp"

namespace troupe::keys {
namespace {

error spoilt(std::string_view shown, const std::string& what) {
  return {
      error_code::data_corrupt, std::string(shown) + ": " + what,
      "a key file has the lines \"public KEY\" and \"secret KEY\" of 64 hexadecimal digits each; "
      "`troupe keys make` writes one"};
}

}  // namespace

key_place place_of(const settings& from) {
  const std::filesystem::path folder = std::filesystem::path(from.text("node.state_dir")) / "keys";
  key_place out{from.text("link.key_file"), from.text("link.allow_file")};
  if (out.key_file.empty()) out.key_file = folder / "node.key";
  if (out.allow_file.empty()) out.allow_file = folder / "allowed";
  return out;
}

result<key_pair> parse_key_file(std::string_view text, std::string_view shown) {
  key_pair out;
  for (std::size_t number = 1; !text.empty(); ++number) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    std::string_view line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    while (!line.empty() && (line.back() == ' ' || line.back() == '\r')) line.remove_suffix(1);
    if (line.empty() || line.front() == '#') continue;
    const std::string where = "line " + std::to_string(number);
    const std::string_view word = line.substr(0, 7), rest = line.substr(word.size());
    if (word == "public ") {
      const auto key = public_key::parse(rest);
      if (!key || !out.shown.empty())
        return spoilt(shown, where + " is no public key, or a second");
      out.shown = *key;
    } else if (word == "secret ") {
      const auto key = secret_key::parse(rest);
      if (!key || !out.kept.empty()) return spoilt(shown, where + " is no secret key, or a second");
      out.kept = *key;
    } else {
      return spoilt(shown, where + " is neither of its two lines");
    }
  }
  if (out.shown.empty() || out.kept.empty()) return spoilt(shown, "a key is missing");
  return out;
}

std::string text_of(const key_pair& pair) {
  return "# A troupe key pair. Whoever reads this file can speak in its owner's name.\npublic " +
         pair.shown.text() + "\nsecret " + pair.kept.text() + "\n";
}

result<key_pair> read_key_file(const std::filesystem::path& file) {
  result<std::string> text = read_owned(file, 0077);
  if (!text) {
    error why = text.failure();
    if (why.code == error_code::not_found)
      why = {error_code::not_found, "there is no key file " + file.string(),
             "make one with `troupe keys make`, or name another"};
    else if (why.message.starts_with("others can"))
      why.mend += "; whoever has read it can speak in its owner's name, so rather make a new pair";
    return why;
  }
  return parse_key_file(*text, file.string());
}

status write_key_file(const std::filesystem::path& file, const key_pair& pair) {
  return write_owned(file, text_of(pair), 0600, true);
}

}  // namespace troupe::keys
