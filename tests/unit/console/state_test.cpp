// What the console does with keys and with what it hears.
#include <doctest/doctest.h>

#include "fixture.hpp"
#include "tools/console/actions.hpp"
#include "tools/console/screen.hpp"

using namespace troupe;
using namespace troupe::console;
using namespace console_test;

namespace {

proto::ClusterTotals totals_shown(const console_state& state) {
  const shown now = shown_by(state);
  return now.picture().totals();
}

template <class Effect>
const Effect* only(const std::vector<effect>& effects) {
  return effects.size() == 1 ? std::get_if<Effect>(&effects[0]) : nullptr;
}

// What a user can tell two states apart by.
std::string told(const console_state& state) {
  std::string out =
      std::to_string(static_cast<int>(state.focus)) + " " +
      std::to_string(static_cast<int>(state.doing)) + " " + std::to_string(state.scroll) + " " +
      state.open_id + " " + state.notice + " " + std::to_string(state.looking_at_us.value_or(0)) +
      " " + std::to_string(state.log_level) + " " + (state.asked ? state.asked->question : "");
  for (const panel_view& view : state.views)
    out += "|" + view.filter + " " + std::to_string(view.order.column) +
           (view.order.down ? "v" : "^") + " " + view.selected + " " + std::to_string(view.index) +
           (view.follows ? "f" : "");
  return out;
}

std::vector<key_press> every_key() {
  std::vector<key_press> out;
  for (int what = static_cast<int>(key::up); what <= static_cast<int>(key::interrupt); ++what)
    out.push_back({static_cast<key>(what)});
  for (char letter = 0x20; letter < 0x7f; ++letter)
    out.push_back({key::character, std::string(1, letter)});
  out.push_back({key::character, "é"});
  return out;
}

console_state in(mode doing, panel focus) {
  console_state state = watching(80, 12);
  state.now_us = noon;
  type(state, std::to_string(static_cast<int>(focus) + 1));
  // In the middle, a minute ago where that hinders nothing, so that each key can change something.
  send(state, key_press{key::down});
  switch (doing) {
    case mode::panels:
      state.view().filter = "p";
      break;
    case mode::filtering:
      state.view().filter = "p";
      type(state, "/");
      type(state, "c");
      break;
    case mode::help:
      type(state, "?jj");
      break;
    case mode::detail:
      state.focus = panel::nodes;
      send(state, key_press{key::enter});
      type(state, "jj");
      break;
    case mode::story:
      state.focus = panel::jobs;
      send(state, ticked{});
      send(state, key_press{key::enter});
      send(state, story_heard{state.open_id, std::make_shared<proto::JobStory>(story())});
      type(state, "jj");
      break;
    case mode::confirming:
      state.focus = panel::nodes;
      send(state, ticked{});
      type(state, "d");
      break;
  }
  REQUIRE(state.doing == doing);
  return state;
}

constexpr mode modes[] = {mode::panels, mode::filtering, mode::help,
                          mode::detail, mode::story,     mode::confirming};

}  // namespace

TEST_CASE("every key in every mode and panel does one thing, or explicitly nothing") {
  std::size_t nothing = 0, something = 0;
  for (const mode doing : modes)
    for (const panel focus : panels)
      for (const key_press& pressed : every_key()) {
        console_state state = in(doing, focus);
        const act meant = act_of(state.doing, state.focus, pressed);
        const std::string before = told(state);
        const std::vector<effect> effects = send(state, pressed);
        CAPTURE(static_cast<int>(doing));
        CAPTURE(static_cast<int>(focus));
        CAPTURE(static_cast<int>(pressed.what));
        CAPTURE(pressed.character);
        if (meant == act::nothing) {
          ++nothing;
          CHECK(told(state) == before);
          CHECK(effects.empty());
        } else {
          ++something;
          // What moves may stand at its end already; forward and now do where they are.
          const bool may_rest = (meant >= act::row_up && meant <= act::last_row) ||
                                meant == act::forward || meant == act::forward_far ||
                                meant == act::now || meant == act::go_to_panel ||
                                meant == act::open;
          CHECK((may_rest || told(state) != before || !effects.empty()));
        }
      }
  CHECK(nothing > 1000);
  CHECK(something > 1000);
}

TEST_CASE("the help names every key that does something") {
  std::string all;
  for (const key_help& one : all_keys()) all += std::string(one.keys) + " ";
  for (const panel focus : panels)
    for (char letter = 0x21; letter < 0x7f; ++letter) {
      if (act_of(mode::panels, focus, {key::character, std::string(1, letter)}) == act::nothing)
        continue;
      if (letter >= '1' && letter <= '8') continue;
      CHECK_MESSAGE((" " + all).find(letter) != std::string::npos, letter);
    }
}

TEST_CASE("nothing dangerous is done without a question that y answers") {
  console_state state = watching(80, 24);
  CHECK(send(state, letter("d")).empty());
  REQUIRE(state.doing == mode::confirming);
  CHECK(state.asked->consequence.find("2 jobs") != std::string::npos);
  CHECK(send(state, key_press{key::enter}).empty());
  CHECK(state.doing == mode::panels);
  CHECK(state.notice == "Nothing was done.");
  send(state, letter("d"));
  const auto drained = send(state, letter("y"));
  REQUIRE(only<drain_node>(drained));
  CHECK(only<drain_node>(drained)->node == "pc1");

  type(state, "3");
  send(state, letter("c"));
  const auto cancelled = send(state, letter("y"));
  REQUIRE(only<cancel_job>(cancelled));
  CHECK(only<cancel_job>(cancelled)->job.job_id() ==
        job_id(2));  // the longest that waits stands first

  type(state, "4jju");
  CHECK(state.doing == mode::panels);  // a device cannot be unloaded
  type(state, "ku");
  REQUIRE(state.doing == mode::confirming);
  const auto unloaded = send(state, letter("y"));
  REQUIRE(only<unload_model>(unloaded));
  CHECK(only<unload_model>(unloaded)->digest == "aa11");
}

TEST_CASE("what is gone or past is not acted upon") {
  console_state state = watching(80, 24);
  type(state, "Gd");
  CHECK(state.doing == mode::panels);
  CHECK(state.notice.find("pc3 is down") != std::string::npos);
  type(state, "g d");
  CHECK(state.doing == mode::panels);
  CHECK(state.notice.find("press 0 for now") != std::string::npos);
  type(state, "0d");
  CHECK(state.doing == mode::confirming);
}

TEST_CASE("a selected row stays selected though others come and go") {
  console_state state = watching(80, 24);
  type(state, "3jjj");
  const std::string chosen = state.view().selected;
  auto next = std::make_shared<proto::ClusterPicture>(*cluster());
  next->mutable_nodes(0)->mutable_jobs()->DeleteSubrange(0, 2);
  send(state, picture_heard{next});
  CHECK(state.view().selected == chosen);
  CHECK(state.view().index == 1);
  next = std::make_shared<proto::ClusterPicture>(*next);
  for (auto& node : *next->mutable_nodes()) node.clear_jobs();
  send(state, picture_heard{next});
  CHECK(state.view().selected.empty());
}

TEST_CASE(
    "sort goes through the columns and back to the table's own order; the filter takes all words") {
  console_state state = watching(80, 24);
  type(state, "3");
  const auto first = [&] { return rows_of(state, shown_by(state), panel::jobs).rows.front().id; };
  CHECK(first() == job_id(2));
  type(state, "sss");
  CHECK(first() == job_id(4));  // by age
  type(state, "S");
  CHECK(first() == job_id(1));
  for (int i = 0; i < 8; ++i) type(state, "s");
  CHECK(state.view().order.column == -1);
  type(state, "/PC2 KV");
  CHECK(rows_of(state, shown_by(state), panel::jobs).rows.size() == 2);
  send(state, key_press{key::backspace});
  send(state, key_press{key::enter});
  CHECK(state.view().filter == "PC2 K");
  send(state, key_press{key::escape});
  CHECK(state.view().filter.empty());
}

TEST_CASE("pause keeps the picture; one scrolls back to before the console began") {
  console_state state = watching(80, 24);
  std::uint64_t now = noon;
  for (int i = 1; i <= 30; ++i) {
    auto next = std::make_shared<proto::ClusterPicture>(*cluster());
    next->mutable_totals()->set_jobs_running(static_cast<std::uint64_t>(i));
    now += 2 * second;
    step(state, {now, picture_heard{next}});
  }
  step(state, {now, letter(" ")});
  auto next = std::make_shared<proto::ClusterPicture>(*cluster());
  step(state, {now + second, picture_heard{next}});
  CHECK(totals_shown(state).jobs_running() == 30);
  step(state, {now + second, key_press{key::left}});
  CHECK(totals_shown(state).jobs_running() == 25);
  step(state, {now + second, letter("[")});
  const shown before = shown_by(state);
  CHECK(before.when.from_series);
  REQUIRE(before.picture().nodes_size() == 2);
  CHECK(rows_of(state, before, panel::jobs).empty.find("Before this console began") == 0);
  for (int i = 0; i < 40; ++i) step(state, {now + second, letter("[")});
  CHECK(*state.looking_at_us == now + second - timeline_us);
  for (int i = 0; i < 40; ++i) step(state, {now + second, letter("]")});
  CHECK(!state.looking_at_us);
  CHECK(totals_shown(state).jobs_running() == 4);
}

TEST_CASE("the models tell who has which layers, and why one is not loaded") {
  console_state state = watching(120, 40);
  auto next = std::make_shared<proto::ClusterPicture>(*cluster());
  proto::NodeStatus& head = *next->mutable_nodes(0)->mutable_status();
  head.clear_models();
  proto::ModelDescription& big = *head.add_models();
  big.set_name("big");
  big.set_digest("dd");
  big.set_state(proto::READY);
  big.add_stages()->set_node("pc2");
  big.mutable_stages(0)->set_layers(20);
  proto::NodeStatus& tail = *next->mutable_nodes(1)->mutable_status();
  tail.clear_models();
  *tail.add_models() = big;
  tail.mutable_models(0)->clear_stages();
  tail.mutable_models(0)->set_state(proto::ON_DISK);
  tail.mutable_models(0)->set_load_refusal(proto::TOO_LARGE);
  tail.mutable_models(0)->set_failure("it needs 9 bytes");
  proto::StageShown& stage = *tail.add_stages();
  stage.set_head("mainpc");
  stage.set_model_digest("dd");
  stage.set_layer_first(12);
  stage.set_layer_end(32);
  step(state, {noon + second, picture_heard{next}});
  std::string all;
  for (const row& one : rows_of(state, shown_by(state), panel::models).rows) {
    for (const cell& part : one.cells) all += part.text + "|";
    all += "\n";
  }
  for (const char* part : {", 20 layers at pc2|", "|too big|", "it needs 9 bytes|", "|part|",
                           "layers 12 to 31 for mainpc|"})
    CHECK_MESSAGE(all.find(part) != std::string::npos, part, " in ", all);
}

TEST_CASE("the timeline is bounded in time") {
  timeline line;
  for (std::uint64_t i = 0; i < 4000; ++i) line.add(cluster(), noon + i * second);
  CHECK(line.kept() <= 452);
  CHECK(line.oldest_us(noon + 4000 * second) >= noon + 3100 * second);
}

TEST_CASE("a node that does not answer leaves the last picture, and it is said") {
  console_state state = watching(80, 24);
  step(state, {noon + 3 * second, picture_missed{"deadline_exceeded: no answer"}});
  const auto findings = findings_by(state);
  CHECK(findings[0].text.find("No answer for 3.0 s") == 0);
  CHECK(findings[0].look == tone::bad);
  const shown still = shown_by(state);
  CHECK(still.picture().nodes_size() == 3);
  step(state, {noon + 4 * second, picture_heard{cluster()}});
  CHECK(findings_by(state)[0].text.find("No answer") == std::string::npos);

  console_state fresh;
  fresh.at = "10.0.0.9:7411";
  step(fresh, {noon, ticked{}});
  step(fresh, {noon + 5 * second, picture_missed{"unavailable: nobody there"}});
  CHECK(findings_by(fresh)[0].text == "No answer from 10.0.0.9:7411 for 5.0 s; trying again.");
}

TEST_CASE("a story is read while it is open, and only its own is taken") {
  console_state state = watching(80, 24);
  type(state, "3");
  const auto opened = send(state, key_press{key::enter});
  REQUIRE(only<read_story>(opened));
  CHECK(only<read_story>(opened)->job_id == job_id(2));
  send(state, story_heard{job_id(3), std::make_shared<proto::JobStory>(story())});
  CHECK(!state.story);
  send(state, story_missed{job_id(2), "not_found: no node remembers it"});
  CHECK(page_lines(state)[0][0].text.find("no node remembers it") != std::string::npos);
  const auto closed = send(state, key_press{key::escape});
  REQUIRE(only<read_story>(closed));
  CHECK(only<read_story>(closed)->job_id.empty());
}

TEST_CASE("the log follows its end until one goes up, and is bounded") {
  console_state state = watching(80, 24);
  type(state, "8");
  CHECK(state.view().index == 3);
  type(state, "k");
  proto::LogLine line;
  line.set_node("pc1");
  line.set_at_us(noon);
  std::vector<proto::LogLine> lines;
  for (std::uint64_t i = 0; i < 5000; ++i) {
    line.set_sequence(100 + i);
    lines.push_back(line);
  }
  send(state, log_heard{{lines.begin(), lines.begin() + 10}});
  CHECK(state.view().index == 2);
  type(state, "G");
  send(state, log_heard{lines});
  CHECK(state.log.size() == log_lines_max);
  CHECK(state.view().index == log_lines_max - 1);
  const auto effects = send(state, letter("l"));
  REQUIRE(only<read_log>(effects));
  CHECK(only<read_log>(effects)->level == proto::LEVEL_WARN);
  CHECK(state.log.empty());
}
