#include <algorithm>
#include <fstream>
#include <iostream>
#include <memory>
#include <sstream>

#include "cluster/audit/chain.hpp"
#include "tools/cli/command.hpp"
#include "tools/cli/text_table.hpp"

namespace troupe::cli {
namespace {

struct options {
  std::vector<std::string> files;
  std::string head;
  std::size_t last = 0;
};

result<std::string> content_of(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream out;
  out << file.rdbuf();
  if (!file) return error{error_code::not_found, path + " cannot be read", "name an audit log"};
  return std::move(out).str();
}

template <class Each>
void for_lines(std::string_view text, Each&& each) {
  while (!text.empty()) {
    const std::string_view line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(text.size(), line.size() + 1));
    each(line);
  }
}

int verify(const options& given) {
  audit::chain_head head;
  std::uint64_t entries = 0;
  std::string continues_from;
  bool noted = given.head.empty();
  for (std::size_t i = 0; i < given.files.size(); ++i) {
    const auto text = content_of(given.files[i]);
    if (!text) return complain(text.failure());
    const audit::verdict judged = audit::verify(*text, i == 0 ? nullptr : &head);
    if (judged.found != audit::fault::none)
      return complain({error_code::data_corrupt,
                       given.files[i] +
                           (judged.line > 0 ? " line " + std::to_string(judged.line) : "") + ": " +
                           judged.message,
                       "nothing from there on can be trusted"});
    if (i == 0) continues_from = judged.continues_from;
    for_lines(*text, [&](std::string_view line) {
      const auto read = audit::read_line(line);
      noted |= read && read->hash == given.head;
    });
    head = judged.head;
    entries += judged.entries;
  }
  if (!noted)
    return complain({error_code::data_corrupt,
                     "no line has the hash " + given.head +
                         ": lines at the end were removed since it was noted, or the log was "
                         "written anew",
                     "give all files since then, oldest first"});
  std::cout << "fine: " << entries << " lines\n";
  if (!continues_from.empty()) std::cout << "goes on from " << continues_from << "\n";
  std::cout << "head " << head.sequence << " " << head.hash << "\n";
  if (given.head.empty())
    std::cerr << "lines removed at the end cannot be seen in the file alone: note the head "
                 "elsewhere, and give it with --head\n";
  return exit_fine;
}

int show(const options& given) {
  text_table table({">SEQ", "TIME", "NODE", "WHO", "WHAT", "OUTCOME", "ABOUT"});
  std::vector<audit::entry> entries;
  std::size_t unread = 0;
  for (const std::string& file : given.files) {
    const auto text = content_of(file);
    if (!text) return complain(text.failure());
    for_lines(*text, [&](std::string_view line) {
      auto read = audit::read_line(line);
      read ? entries.push_back(*std::move(read)) : void(++unread);
    });
  }
  const std::size_t from =
      given.last > 0 && given.last < entries.size() ? entries.size() - given.last : 0;
  for (std::size_t i = from; i < entries.size(); ++i) {
    const audit::entry& e = entries[i];
    std::string about;
    for (const auto& [name, value] : e.about)
      about += (about.empty() ? "" : " ") + name + "=" + value;
    table.add({std::to_string(e.sequence), e.time, e.node, e.who, e.what, e.outcome, about});
  }
  std::cout << table.text();
  if (unread == 0) return exit_fine;
  return complain({error_code::data_corrupt, std::to_string(unread) + " lines do not hold",
                   "`troupe audit verify` tells more"});
}

}  // namespace

void add_audit(CLI::App& app, action& chosen) {
  CLI::App& all = *app.add_subcommand("audit", "a node's audit log (audit.log in node.state_dir)");
  all.require_subcommand(1);
  const auto add = [&](const char* verb, const char* about, int (*run)(const options&)) {
    auto given = std::make_shared<options>();
    CLI::App& command = *all.add_subcommand(verb, about);
    command.add_option("FILE", given->files, "the log, or several of one node, oldest first")
        ->required();
    if (run == verify)
      command.add_option("--head", given->head, "a hash that was noted before: it must be there");
    else
      command.add_option("--last", given->last, "only so many lines, the newest");
    command.callback([&chosen, given, run] { chosen = [given, run] { return run(*given); }; });
  };
  add("verify", "say whether every line is as it was written, and print the newest one's hash",
      verify);
  add("show", "print the log for people", show);
}

}  // namespace troupe::cli
