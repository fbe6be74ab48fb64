#include "tests/scenario/script.hpp"

#include <algorithm>
#include <iterator>
#include <regex>
#include <sstream>
#include <stdexcept>

#include "actors/running_hash.hpp"
#include "tests/scenario/stage.hpp"

namespace troupe::scenario {
namespace {

using words = std::smatch;

struct wrong : std::runtime_error {
  using std::runtime_error::runtime_error;
};

void must(bool holds, const std::string& otherwise) {
  if (!holds) throw wrong(otherwise);
}

class player {
 public:
  // ---- the cluster ----
  void nodes(const words& w) { stage_.node_names = split(w[1]); }
  void deviceless(const words& w) {
    for (const std::string& name : split(w[1])) stage_.without_device.insert(name);
  }
  void journal(const words& w) { stage_.journal = w[1] == "on"; }
  void redis(const words& w) { stage_.redis = w[1] == "on"; }
  void start(const words&) {
    must(!stage_.node_names.empty(), "no nodes were named");
    stage_.start();
  }
  void pass(const words& w) { stage_.pass(std::stoull(w[1]) * 1000); }

  // ---- clients ----
  void submit(const words& w) {
    proto::JobSpecification asked;
    asked.set_model("tiny");
    asked.set_tokens_max(static_cast<std::uint32_t>(std::stoul(w[4])));
    asked.set_text(w[5]);
    asked.set_ignore_end(true);
    proto::SamplingParameters& sampling = *asked.mutable_sampling();
    sampling.set_temperature(std::stof(w[6]));
    sampling.set_seed(std::stoull(w[7]));
    sampling.set_top_p(1);
    sampling.set_repetition_penalty(1);
    reader::reading& r = stage_.client(w[1]).jobs()[w[2]];
    must(r.id.empty(), "there is a job " + w[2].str() + " already");
    r.id = stage_.make_job(w[2], asked).id;
    r.job = asked;
    r.window = w[8].matched ? static_cast<std::uint32_t>(std::stoul(w[8])) : 16;
    r.holds_back = w[8].matched;
    stage_.submit(w[1], w[2], node(w[3]), reader::brings::nothing);
  }
  void submit_again(const words& w) {
    reading(w[1], w[2]).window = 16;
    reading(w[1], w[2]).holds_back = false;
    stage_.submit(w[1], w[2], node(w[3]),
                  w[4] == "its prefix"  ? reader::brings::its_prefix
                  : w[4] == "its place" ? reader::brings::only_its_place
                                        : reader::brings::nothing);
  }
  void read_on(const words& w) { client(w[1]).read_on((reading(w[1], w[2]), w[2].str())); }
  void cancel(const words& w) { client(w[1]).cancel((reading(w[1], w[2]), w[2].str())); }
  void hears_acceptance(const words& w) {
    reader::reading& r = reading(w[1], w[2]);
    const bool came = stage_.wait_until([&] { return r.taken; });
    must(came, seen(r));
  }
  void hears_tokens(const words& w) {
    reader::reading& r = reading(w[1], w[3]);
    const std::size_t due = std::stoul(w[2]);
    const bool came = stage_.wait_until([&] { return r.ids.size() >= due; });
    must(came, seen(r));
  }
  void hears_end(const words& w) {
    reader::reading& r = reading(w[1], w[2]);
    const bool came = stage_.wait_until([&] { return r.finished.has_value(); });
    must(came, seen(r));
  }
  void hears_error(const words& w) {
    reader::reading& r = reading(w[1], w[3]);
    const bool came = stage_.wait_until([&] { return r.told.has_value(); });
    must(came, seen(r));
    must(proto::Error::Code_Name(r.told->code()) == w[2].str(), seen(r));
  }
  void loses_gateway(const words& w) {
    const std::string gateway = node(w[2]);
    must(stage_.wait_until([&] { return !client(w[1]).connected_to(gateway); }),
         "it is connected still");
  }

  // ---- faults ----
  void kill(const words& w) { stage_.kill(node(w[1])); }
  void power_off(const words& w) { stage_.power_off(node(w[1])); }
  void wipe(const words& w) { stage_.wipe_disk(node(w[1])); }
  void begin(const words& w) { stage_.begin(node(w[1])); }
  void freeze(const words& w) { stage_.freeze(node(w[1]), std::stoull(w[2]) * 1000); }
  void cut(const words& w) { stage_.cut(end_of_wire(w[1], w[2]), end_of_wire(w[2], w[1])); }
  void cut_one_way(const words& w) {
    stage_.cut(end_of_wire(w[1], w[2]), end_of_wire(w[2], w[1]), false);
  }
  void mend(const words& w) { stage_.mend(end_of_wire(w[1], w[2]), end_of_wire(w[2], w[1])); }
  void redis_mood(const words& w) {
    using mood = sim::shared_redis::mood;
    const std::string is = w[1];
    if (is == "is emptied") return stage_.shared().held.clear();
    stage_.shared().now = is == "is killed" ? mood::down : is == "lies" ? mood::lying : mood::well;
  }
  void redis_holds(const words&) {
    must(stage_.wait_until([&] { return !stage_.shared().held.empty(); }), "Redis is empty");
  }

  // ---- what must be seen ----
  void whole_answer(const words& w) {
    ++checks_;
    const reader::reading& r = reading(w[1], w[2]);
    const sim::known_job& right = stage_.jobs().at(w[2]);
    must(r.finished && r.finished->reason() == right.reason, seen(r));
    must(r.ids == right.ids, "not the undisturbed answer's tokens; " + seen(r));
    must(r.text + r.finished->text_tail() == right.text, "another text; " + seen(r));
    must(r.finished->running_hash() == running_hash_of(right.ids), "another hash; " + seen(r));
  }
  void beginning(const words& w) {
    ++checks_;
    const reader::reading& r = reading(w[1], w[3]);
    const auto& right = stage_.jobs().at(w[3]).ids;
    must(r.ids.size() == std::stoul(w[2]), seen(r));
    must(std::equal(r.ids.begin(), r.ids.end(), right.begin()), "other tokens; " + seen(r));
  }
  void nothing_ended(const words& w) {
    ++checks_;
    must(!reading(w[1], w[2]).finished, seen(reading(w[1], w[2])));
  }
  void executions(const words& w) {
    ++checks_;
    const auto count =
        std::count_if(stage_.events().begin(), stage_.events().end(), [&](const sim::event& e) {
          return e.what == sim::what::attempt && e.job == stage_.jobs().at(w[1]).id;
        });
    must(std::to_string(count) == w[2].str(), "it was begun " + std::to_string(count) + " times");
  }
  void stale(const words& w) {
    ++checks_;
    must(stage_.wait_until([&] {
      return std::any_of(stage_.events().begin(), stage_.events().end(), [&](const sim::event& e) {
        return e.what == sim::what::frame && e.count == 0 && e.node == w[2].str() &&
               e.job == stage_.jobs().at(w[1]).id;
      });
    }),
         "no frame of it was dropped there");
  }
  void source(const words& w) {
    ++checks_;
    const reader::reading& r = reading(w[1], w[2]);
    must(r.finished.has_value(), seen(r));
    const auto is = r.finished->provenance().source();
    must((w[3] == "computed") == (is == proto::COMPUTED), proto::AnswerSource_Name(is));
  }
  void in_journal(const words& w) {
    ++checks_;
    must(stage_.journal_knows(node(w[1]), w[3]) == (w[2] == "knows"), "it is the other way");
  }
  void tokens_in_journal(const words& w) {
    ++checks_;
    const std::uint32_t held = stage_.journal_tokens(node(w[1]), w[3]);
    must(held < std::stoul(w[2]), "it holds " + std::to_string(held));
  }
  void silent(const words& w) {
    ++checks_;
    must(!reading(w[1], w[2]).taken && reading(w[1], w[2]).ids.empty(), seen(reading(w[1], w[2])));
  }

  // Whatever the script asks: a stream is one stream.
  void look_at_streams() {
    for (const auto& [name, one] : stage_.clients())
      must(one->faults().empty(),
           name + " heard what cannot be: " + (one->faults().empty() ? "" : one->faults().front()));
  }
  int checks() const { return checks_; }

 private:
  static std::vector<std::string> split(const std::string& text) {
    std::istringstream in(text);
    return {std::istream_iterator<std::string>(in), {}};
  }
  // "the worker of j": who sent its last tokens.
  std::string node(const std::string& words_of_it) {
    static const std::string worker = "the worker of ";
    std::string name = words_of_it;
    if (name.starts_with(worker)) {
      const std::string job = name.substr(worker.size());
      name.clear();
      for (auto& [who, one] : stage_.clients())
        if (one->jobs().contains(job) && !one->jobs()[job].frames.empty())
          name = one->jobs()[job].frames.back().worker_node();
    }
    must(stage_.knows(name), "there is no node \"" + name + "\"");
    return name;
  }
  // A client's end of a wire is its session with the node.
  std::string end_of_wire(const std::string& mine, const std::string& other) {
    if (!stage_.has_client(mine)) return node(mine);
    const std::string session = client(mine).session_with(node(other));
    must(!session.empty(), mine + " has never called " + other);
    return session;
  }
  reader& client(const std::string& name) {
    must(stage_.has_client(name), "there is no client " + name);
    return stage_.client(name);
  }
  reader::reading& reading(const std::string& who, const std::string& job) {
    must(client(who).jobs().contains(job), who + " has no job " + job);
    return client(who).jobs()[job];
  }
  static std::string seen(const reader::reading& r) {
    std::string out = std::to_string(r.ids.size()) + " tokens came from " + r.gateway;
    out += r.taken ? ", it is taken" : ", it is not taken";
    if (r.finished)
      out += ", it ended as " + proto::FinishReason_Name(r.finished->reason()) + " " +
             r.finished->error().message();
    if (r.told)
      out += ", told " + proto::Error::Code_Name(r.told->code()) + ": " + r.told->message();
    return out;
  }

  stage stage_;
  int checks_ = 0;
};

struct sentence {
  const char* form;
  void (player::*says)(const words&);
};

#define NODE "(the worker of \\w+|\\w+)"
constexpr sentence known[] = {
    {R"(nodes: ([\w ]+))", &player::nodes},
    {R"(without a device: ([\w ]+))", &player::deviceless},
    {R"(journal: (on|off))", &player::journal},
    {R"(redis: (on|off))", &player::redis},
    {R"(the cluster starts)", &player::start},
    {R"((\d+) ms pass)", &player::pass},
    {R"~((\w+) submits (\w+) to (\w+): (\d+) tokens after "([a-z ]+)", temperature ([\d.]+), )~"
     R"~(seed (\d+)(?:, reads (\d+))?)~",
     &player::submit},
    {R"((\w+) submits (\w+) again to (\w+), bringing (nothing|its place|its prefix))",
     &player::submit_again},
    {R"((\w+) reads (\w+) on)", &player::read_on},
    {R"((\w+) cancels (\w+))", &player::cancel},
    {R"((\w+) hears that (\w+) is taken)", &player::hears_acceptance},
    {R"((\w+) hears (\d+) tokens of (\w+))", &player::hears_tokens},
    {R"((\w+) hears the end of (\w+))", &player::hears_end},
    {R"((\w+) is told ([A-Z_]+) about (\w+))", &player::hears_error},
    {R"((\w+) loses sight of (\w+))", &player::loses_gateway},
    {R"(Redis (is killed|is emptied|lies|is well))", &player::redis_mood},
    {R"(Redis holds something)", &player::redis_holds},
    {NODE " is killed", &player::kill},
    {NODE " loses power", &player::power_off},
    {R"(the disk of (\w+) is lost)", &player::wipe},
    {R"((\w+) starts again)", &player::begin},
    {NODE " is stopped for (\\d+) ms", &player::freeze},
    {R"(the wire between (\w+) and (\w+) is cut)", &player::cut},
    {R"(the wire from (\w+) to (\w+) is cut)", &player::cut_one_way},
    {R"(the wire between (\w+) and (\w+) is mended)", &player::mend},
    {R"(then (\w+) has the whole answer of (\w+))", &player::whole_answer},
    {R"(then (\w+) has the first (\d+) tokens of (\w+))", &player::beginning},
    {R"(then (\w+) has no end of (\w+))", &player::nothing_ended},
    {R"(then (\w+) has heard nothing of (\w+))", &player::silent},
    {R"(then (\w+) was begun (\d+) times)", &player::executions},
    {R"(then stale frames of (\w+) were dropped at (\w+))", &player::stale},
    {R"(then (\w+) has (\w+) (from a cache|computed))", &player::source},
    {R"(then the journal of (\w+) (knows|has forgotten) (\w+))", &player::in_journal},
    {R"(then the journal of (\w+) holds fewer than (\d+) tokens of (\w+))",
     &player::tokens_in_journal},
};

std::string without_comment(std::string line) {
  if (const auto at = line.find('#'); at != std::string::npos) line.resize(at);
  const auto begin = line.find_first_not_of(" \t\r");
  const auto end = line.find_last_not_of(" \t\r");
  return begin == std::string::npos ? "" : line.substr(begin, end - begin + 1);
}

void play_line(player& who, const std::string& line) {
  for (const sentence& one : known) {
    words found;
    if (!std::regex_match(line, found, std::regex(one.form))) continue;
    (who.*one.says)(found);
    return who.look_at_streams();
  }
  throw wrong("this is no sentence that README.md knows");
}

}  // namespace

std::optional<std::string> play(const std::string& text) {
  player who;
  std::istringstream lines(text);
  int number = 0;
  for (std::string line; std::getline(lines, line);) {
    ++number;
    line = without_comment(line);
    if (line.empty()) continue;
    try {
      play_line(who, line);
    } catch (const std::exception& e) {
      return "line " + std::to_string(number) + ": " + line + "\n  " + e.what();
    }
  }
  if (who.checks() == 0) return "the script checks nothing";
  return std::nullopt;
}

std::vector<std::string> sentences() {
  std::vector<std::string> out;
  for (const sentence& one : known) out.emplace_back(one.form);
  return out;
}

}  // namespace troupe::scenario
