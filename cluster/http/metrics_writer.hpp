// How Prometheus's text is written: a metric's head, then its rows. Pure.
#pragma once

#include <cstdio>
#include <functional>
#include <initializer_list>
#include <string>
#include <utility>

#include "proto/monitoring.pb.h"

namespace troupe::http {

inline std::string shown(double value) {
  char text[40];
  std::snprintf(text, sizeof text, "%.15g", value);
  return text;
}

using label_list = std::initializer_list<std::pair<const char*, std::string>>;

inline std::string shown(label_list labels) {
  std::string out;
  for (const auto& [name, value] : labels) {
    out += out.empty() ? "{" : ",";
    out += std::string(name) + "=\"";
    for (const char c : value) {
      if (c == '\\' || c == '"') out += '\\';
      out += c == '\n' ? std::string("\\n") : std::string(1, c);
    }
    out += '"';
  }
  return out.empty() ? out : out + "}";
}

// One metric: its head, then a row for each value.
class metric {
 public:
  metric(std::string& out, const std::string& name, const char* type, const char* about)
      : out_(out), name_("troupe_" + name) {
    out_ += "# HELP " + name_ + " " + about + "\n# TYPE " + name_ + " " + type + "\n";
  }
  void row(double value, label_list labels = {}, const char* suffix = "") {
    out_ += name_ + suffix + shown(labels) + " " + shown(value) + "\n";
  }

 private:
  std::string& out_;
  std::string name_;
};

template <class Rows, class Read>
void rows_of(std::string& out, const char* name, const char* type, const char* about,
             const Rows& rows, const char* label, const std::function<std::string(int)>& label_of,
             Read&& read) {
  metric one(out, name, type, about);
  for (int i = 0; i < rows.size(); ++i)
    one.row(static_cast<double>(read(rows[i])), {{label, label_of(i)}});
}

inline void one(std::string& out, const char* name, const char* type, const char* about,
                double value) {
  metric(out, name, type, about).row(value);
}

// What the machine, its devices, links and actors do, and what monitoring itself takes.
void write_machine(std::string& out, const proto::NodeMetrics& node);

}  // namespace troupe::http
