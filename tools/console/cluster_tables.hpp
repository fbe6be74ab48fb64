// The tables of what the cluster is made of, and of what it works at.
#pragma once

#include "tools/console/scene.hpp"

namespace troupe::console {

table nodes_table(const scene& from);
table links_table(const scene& from);
table models_table(const scene& from);
table caches_table(const scene& from);

table jobs_table(const scene& from);
table actors_table(const scene& from);
table alerts_table(const scene& from);
table log_table(const scene& from);

// A word for how a node is, and what it means. "DOWN", "SILENT", ...; "ok" where nothing speaks
// against it.
cell health_of(const proto::NodePart& node);

}  // namespace troupe::console
