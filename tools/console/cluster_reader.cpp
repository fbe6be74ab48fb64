#include "tools/console/cluster_reader.hpp"

#include <algorithm>

#include "tools/console/words.hpp"

namespace troupe::console {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

constexpr milliseconds look_every{500}, history_every{4000}, story_every{1000};
constexpr milliseconds picture_wait{1500}, rest_wait{1500}, open_wait{1500}, action_wait{5000};
constexpr std::size_t actions_max = 16, addresses_max = 16;
constexpr std::uint32_t log_lines_asked = 200;

}  // namespace

cluster_reader::cluster_reader(std::string at, client::connect_options options,
                               std::function<void(heard_type)> heard)
    : at_(std::move(at)), options_(std::move(options)), heard_(std::move(heard)) {
  log_asked_.set_level(level_);
  log_asked_.set_lines_max(log_lines_asked);
  void (cluster_reader::*parts[])() = {&cluster_reader::read_pictures, &cluster_reader::read_rest,
                                       &cluster_reader::act};
  threads_ = static_cast<int>(std::size(parts));
  for (const auto part : parts)
    running_.emplace_back([this, part] {
      (this->*part)();
      const std::lock_guard lock(mutex_);
      --threads_;
      changed_.notify_all();
    });
}

cluster_reader::~cluster_reader() {
  end(milliseconds(0));
  for (std::thread& one : running_) one.join();
}

bool cluster_reader::end(milliseconds within) {
  std::unique_lock lock(mutex_);
  ending_ = true;
  changed_.notify_all();
  return changed_.wait_for(lock, within, [&] { return threads_ == 0; });
}

void cluster_reader::ask(const effect& what) {
  const std::lock_guard lock(mutex_);
  if (const auto* story = std::get_if<console::read_story>(&what)) {
    story_ = story->job_id;
  } else if (const auto* log = std::get_if<console::read_log>(&what)) {
    level_ = log->level;
    level_changed_ = true;
  } else if (asked_.size() < actions_max) {
    asked_.push_back(what);
  } else {
    heard_(action_ended{"Too much is under way: wait for what was asked before.", false});
  }
  changed_.notify_all();
}

bool cluster_reader::ending() {
  const std::lock_guard lock(mutex_);
  return ending_;
}

bool cluster_reader::pause(milliseconds length) {
  std::unique_lock lock(mutex_);
  return !changed_.wait_for(lock, length, [&] { return ending_; });
}

std::vector<std::string> cluster_reader::addresses() {
  const std::lock_guard lock(mutex_);
  std::vector<std::string> out = {at_};
  out.insert(out.end(), learned_.begin(), learned_.end());
  return out;
}

result<client::observer*> cluster_reader::open(looker& by) {
  if (by.session) return by.session.get();
  const std::vector<std::string> known = addresses();
  client::connect_options options = options_;
  options.wait_max = open_wait;
  auto opened = client::observer::open(known[by.turn % known.size()], options);
  if (!opened) {
    ++by.turn;
    return opened.failure();
  }
  by.session = std::move(*opened);
  return by.session.get();
}

void cluster_reader::read_pictures() {
  looker by;
  for (auto begin = steady_clock::now(); !ending(); begin = steady_clock::now()) {
    const auto session = open(by);
    if (!session) {
      heard_(picture_missed{session.failure().text()});
    } else if (auto picture = (*session)->picture(picture_wait); !picture) {
      heard_(picture_missed{picture.failure().text()});
      by.session.reset();
    } else {
      auto told = std::make_shared<proto::ClusterPicture>(std::move(*picture));
      std::vector<std::string> learned;
      for (const proto::NodePart& node : told->nodes())
        if (node.up() && !node.status().address().empty() && learned.size() < addresses_max)
          learned.push_back(node.status().address());
      {
        const std::lock_guard lock(mutex_);
        learned_ = std::move(learned);
      }
      heard_(picture_heard{std::move(told)});
    }
    const auto took = std::chrono::duration_cast<milliseconds>(steady_clock::now() - begin);
    if (!pause(std::max(look_every - took, milliseconds(20)))) return;
  }
}

bool cluster_reader::read_history(looker& by) {
  const auto session = open(by);
  if (!session) return false;
  auto history = (*session)->history({}, rest_wait);
  if (!history) return false;
  heard_(history_heard{std::make_shared<proto::ClusterHistory>(std::move(*history))});
  return true;
}

bool cluster_reader::read_log(looker& by) {
  {
    const std::lock_guard lock(mutex_);
    if (level_changed_) log_asked_.clear_after();
    level_changed_ = false;
    log_asked_.set_level(level_);
  }
  const auto session = open(by);
  if (!session) return false;
  auto part = (*session)->log(log_asked_, rest_wait);
  if (!part) return false;
  // Nodes that did not answer keep their place: else they would tell their last lines again.
  for (const proto::LogCursor& next : part->next()) {
    const auto same =
        std::find_if(log_asked_.mutable_after()->begin(), log_asked_.mutable_after()->end(),
                     [&](const proto::LogCursor& one) { return one.node() == next.node(); });
    if (same != log_asked_.mutable_after()->end())
      *same = next;
    else
      *log_asked_.add_after() = next;
  }
  log_heard heard{{part->lines().begin(), part->lines().end()}, part->dropped()};
  const std::lock_guard lock(mutex_);
  if (!level_changed_ && !heard.lines.empty()) heard_(std::move(heard));
  return true;
}

bool cluster_reader::read_story(looker& by) {
  std::string job;
  {
    const std::lock_guard lock(mutex_);
    job = story_;
  }
  if (job.empty()) return true;
  const auto session = open(by);
  if (!session) return false;
  const std::string hex = hex_text(job);
  std::string uuid = hex;
  if (hex.size() == 32)
    uuid = hex.substr(0, 8) + "-" + hex.substr(8, 4) + "-" + hex.substr(12, 4) + "-" +
           hex.substr(16, 4) + "-" + hex.substr(20);
  auto story = (*session)->story(uuid, rest_wait);
  if (story) {
    heard_(story_heard{job, std::make_shared<proto::JobStory>(std::move(*story))});
    return true;
  }
  heard_(story_missed{job, story.failure().text()});
  return story.failure().code == error_code::not_found;
}

void cluster_reader::read_rest() {
  looker by;
  auto history_due = steady_clock::now(), story_due = history_due;
  std::string story_before;
  for (auto begin = steady_clock::now(); !ending(); begin = steady_clock::now()) {
    bool well = read_log(by);
    if (well && begin >= history_due) {
      well = read_history(by);
      history_due = steady_clock::now() + history_every;
    }
    std::string wanted;
    {
      const std::lock_guard lock(mutex_);
      wanted = story_;
    }
    if (well && !wanted.empty() && (begin >= story_due || wanted != story_before)) {
      well = read_story(by);
      story_due = steady_clock::now() + story_every;
    }
    story_before = wanted;
    if (!well) by.session.reset();
    const auto took = std::chrono::duration_cast<milliseconds>(steady_clock::now() - begin);
    std::unique_lock lock(mutex_);
    changed_.wait_for(lock, std::max(look_every - took, milliseconds(20)),
                      [&] { return ending_ || level_changed_ || story_ != wanted; });
  }
}

void cluster_reader::act() {
  looker by;
  for (;;) {
    effect next;
    {
      std::unique_lock lock(mutex_);
      changed_.wait(lock, [&] { return ending_ || !asked_.empty(); });
      if (ending_) return;
      next = asked_.front();
      asked_.pop_front();
    }
    act_on(next, by);
  }
}

void cluster_reader::act_on(const effect& what, looker& by) {
  const auto tell = [&](const status& done, const std::string& well, const std::string& failed) {
    heard_(done ? action_ended{well, true} : action_ended{failed + done.failure().text(), false});
    if (!done) by.session.reset();
  };
  const auto session = open(by);
  if (!session) return tell(session.failure(), "", "Nothing was done: ");
  if (const auto* drain = std::get_if<drain_node>(&what)) {
    client::connect_options options = options_;
    options.wait_max = action_wait;
    std::string all;
    for (const std::string& address : addresses()) all += (all.empty() ? "" : ",") + address;
    auto cluster = client::cluster::connect(all, options);
    const status done =
        cluster ? (*cluster)->drain(drain->node, milliseconds(0)) : status(cluster.failure());
    return tell(done, drain->node + " was drained and has ended.",
                drain->node + " was not drained: ");
  }
  if (const auto* cancel = std::get_if<cancel_job>(&what)) {
    const std::string job = "Job " + job_text(cancel->job.job_id());
    return tell((*session)->cancel(cancel->job, action_wait), job + " was cancelled.",
                job + " was not cancelled: ");
  }
  if (const auto* unload = std::get_if<unload_model>(&what))
    return tell((*session)->unload(unload->node, unload->digest, action_wait),
                unload->name + " was unloaded at " + unload->node + ".",
                unload->name + " was not unloaded: ");
}

}  // namespace troupe::console
