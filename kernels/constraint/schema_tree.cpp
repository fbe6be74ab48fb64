#include "kernels/constraint/schema_tree.hpp"

#include <algorithm>
#include <map>
#include <utility>

#include "kernels/constraint/keyword_reading.hpp"
#include "kernels/constraint/schema_checks.hpp"
#include "kernels/constraint/schema_parts.hpp"

namespace troupe::kernels::constraint {
namespace {

using form = json_value::form;

bool is_never(const json_value& schema) {
  return schema.kind == form::boolean && !schema.truth;
}

class tree_reader {
 public:
  tree_reader(const json_value& root, std::size_t nodes_max)
      : root_(root), parts_(root), nodes_max_(nodes_max) {}

  result<schema_tree> read() {
    if (const result<node_id> whole = node_of({{&root_, "#"}}); !whole) return whole.failure();
    for (node_id node = 0; node < tree_.nodes.size(); ++node) {
      const schema_parts parts = waiting_[node];
      schema_node read = tree_.nodes[node];
      if (status done = gather(parts, read); !done) return done.failure();
      tree_.nodes[node] = std::move(read);
    }
    if (status checked = settle(tree_); !checked) return checked.failure();
    return std::move(tree_);
  }

 private:
  // The node of these parts, new or known; parts before `expanded` are complete.
  result<node_id> node_of(schema_parts parts, std::size_t expanded = 0) {
    if (status done = parts_.expand(parts, expanded); !done) return done.failure();
    key parts_key;
    for (const schema_part& p : parts)
      if (!part_reader::only_names(*p.schema))
        parts_key.emplace_back(p.schema, (p.any_taken ? 1 : 0) + (p.one_taken ? 2 : 0));
    const auto [at, fresh] =
        known_.try_emplace(std::move(parts_key), static_cast<node_id>(tree_.nodes.size()));
    if (!fresh) return at->second;
    if (tree_.nodes.size() == nodes_max_)
      return schema_error(parts.empty() ? "#" : parts.back().path,
                          "the schema has more than " + std::to_string(nodes_max_) + " parts",
                          "make it smaller: fewer members, fewer anyOf and allOf");
    tree_.nodes.emplace_back().path = parts.empty() ? "any value" : parts.back().path;
    waiting_.push_back(std::move(parts));
    return at->second;
  }

  // Names and values are compared with one another in every part.
  status count_work(const schema_parts& parts) {
    std::size_t width = 1;
    for (const schema_part& part : parts)
      for (const auto& [keyword, value] : part.schema->members)
        width += value.items.size() + value.members.size();
    work_ += parts.size() * width * width;
    if (work_ <= work_max) return {};
    return schema_error(parts.back().path, "the schema is too large by then",
                        "make it smaller: fewer members and values, fewer anyOf and allOf");
  }

  status gather(const schema_parts& parts, schema_node& node) {
    if (status counted = count_work(parts); !counted) return counted;
    for (const schema_part& part : parts)
      if (is_never(*part.schema))
        return node.impossible = part.path + ": false allows no value", status{};
    for (std::size_t i = 0; i < parts.size(); ++i)
      for (const bool exclusive : {false, true}) {
        const json_value* list = parts[i].schema->find(exclusive ? "oneOf" : "anyOf");
        if (list && !(exclusive ? parts[i].one_taken : parts[i].any_taken))
          return gather_alternatives(parts, i, *list, exclusive, node);
      }
    type_set spoken = 0;
    for (const schema_part& part : parts) {
      const result<type_set> types = read_types(part);
      if (!types) return types.failure();
      node.types = static_cast<type_set>(node.types & *types);
      spoken = static_cast<type_set>(spoken | spoken_types(part));
      status narrowed = narrow_choices(part, node);
      if (narrowed) narrowed = narrow_numbers(part, node);
      if (narrowed) narrowed = narrow_texts(part, node);
      if (narrowed) narrowed = narrow_items_count(part, node);
      if (!narrowed) return narrowed;
    }
    if (node.choices && spoken != 0)
      return schema_error(node.path, "enum or const stands beside keywords other than type",
                          "list the values that are wanted, and leave the other keywords out");
    node.valid_types = node.types;
    if (node.types == all_types && spoken != 0) node.types = spoken;
    if (find_contradiction(node)) return {};
    status gathered;
    if (!node.choices && (node.types & array_type)) gathered = gather_items(parts, node);
    if (gathered && !node.choices && (node.types & object_type))
      gathered = gather_members(parts, node);
    return gathered;
  }

  status gather_alternatives(const schema_parts& parts, std::size_t by, const json_value& list,
                             bool exclusive, schema_node& node) {
    const std::string_view keyword = exclusive ? "oneOf" : "anyOf";
    node.exclusive = exclusive;
    node.path = path_below(parts[by].path, keyword);
    if (list.items.empty()) node.impossible = node.path + ": has no alternatives";
    for (std::size_t n = 0; n < list.items.size(); ++n) {
      schema_parts with = parts;
      (exclusive ? with[by].one_taken : with[by].any_taken) = true;
      const std::string path = node.path + "/" + std::to_string(n);
      // One that holds already says nothing new; still it is an alternative.
      const result<node_id> alternative = node_with(std::move(with), by, list.items[n], path);
      if (!alternative) return alternative.failure();
      node.alternatives.push_back(*alternative);
    }
    return {};
  }

  result<node_id> node_with(schema_parts parts, std::size_t by, const json_value& schema,
                            const std::string& path) {
    const std::size_t expanded = parts.size();
    if (status added = parts_.add(parts, by, schema, path); !added) return added.failure();
    return node_of(std::move(parts), expanded);
  }

  // True, and the reason in the node, where what stands in it already leaves no value.
  static bool find_contradiction(schema_node& node) {
    if (node.choices)
      std::erase_if(*node.choices,
                    [&](const json_value& v) { return (type_of(v) & node.types) == 0; });
    std::string reason;
    const auto allows = [&](type_set types) { return (node.types & types) != 0; };
    if (node.types == 0)
      reason = "no type is left";
    else if (node.choices)
      reason = node.choices->empty() ? "enum and const leave no value" : "";
    else if (allows(integer_type | fraction_type) && leave_nothing(node.numbers))
      reason = "no number lies between the minimum and the maximum";
    else if (allows(text_type) && node.text_length.least > node.text_length.most)
      reason = "minLength is more than maxLength";
    else if (allows(array_type) && node.items_count.least > node.items_count.most)
      reason = "minItems is more than maxItems";
    if (!reason.empty()) node.impossible = node.path + ": " + reason;
    return !reason.empty();
  }

  // The schema that a part has for the item at this position; nullptr: none.
  static const json_value* item_schema(const schema_part& part, std::size_t position,
                                       std::string& path) {
    const json_value* first = part.schema->find("prefixItems");
    if (first && position < first->items.size()) {
      path = part.path + "/prefixItems/" + std::to_string(position);
      return &first->items[position];
    }
    path = part.path + "/items";
    return part.schema->find("items");
  }

  status gather_items(const schema_parts& parts, schema_node& node) {
    std::size_t firsts = 0;
    for (const schema_part& part : parts) {
      const json_value* first = part.schema->find("prefixItems");
      const json_value* rest = part.schema->find("items");
      if (rest && rest->kind == form::array)
        return schema_error(part.path, "items is an array",
                            "write prefixItems for items by position");
      const std::size_t named = first ? first->items.size() : 0;
      firsts = std::max(firsts, named);
      if (rest && is_never(*rest))
        node.items_count.most = std::min(node.items_count.most, static_cast<std::uint32_t>(named));
    }
    if (find_contradiction(node)) return {};
    const auto item_at = [&](std::size_t position) {
      schema_parts item;
      for (const schema_part& part : parts) {
        std::string path;
        const json_value* schema = item_schema(part, position, path);
        if (schema) item.push_back({schema, path});
      }
      return node_of(std::move(item));
    };
    firsts = std::min<std::size_t>(firsts, node.items_count.most);
    for (std::size_t i = 0; i < firsts; ++i) {
      const result<node_id> item = item_at(i);
      if (!item) return item.failure();
      node.first_items.push_back(*item);
    }
    if (node.items_count.most == firsts) return {};
    const result<node_id> rest = item_at(firsts);
    if (!rest) return rest.failure();
    node.rest_items = *rest;
    return {};
  }

  // The names that a part of the schema speaks of, in their order, and which are required.
  static result<std::vector<schema_member>> named_members(const schema_parts& parts) {
    std::vector<schema_member> members;
    const auto find = [&](const std::string& name) -> schema_member& {
      for (schema_member& m : members)
        if (m.name == name) return m;
      return members.emplace_back(schema_member{name});
    };
    for (const schema_part& part : parts)
      if (const json_value* properties = part.schema->find("properties"))
        for (const auto& [name, schema] : properties->members) find(name);
    for (const schema_part& part : parts)
      if (const json_value* required = part.schema->find("required"))
        for (const json_value& name : required->items) {
          if (name.kind != form::text)
            return schema_error(part.path, "required has " + write_json(name), "list names");
          find(name.text).required = true;
        }
    return members;
  }

  status gather_members(const schema_parts& parts, schema_node& node) {
    result<std::vector<schema_member>> named = named_members(parts);
    if (!named) return named.failure();
    for (schema_member& member : *named) {
      schema_parts own;
      const std::string* forbidden_by = nullptr;
      for (const schema_part& part : parts) {
        const json_value* properties = part.schema->find("properties");
        const json_value* schema = properties ? properties->find(member.name) : nullptr;
        const json_value* more = part.schema->find("additionalProperties");
        if (schema)
          own.push_back({schema, path_below(part.path + "/properties", member.name)});
        else if (more && is_never(*more))
          forbidden_by = &part.path;
        else if (more)
          own.push_back({more, part.path + "/additionalProperties"});
      }
      if (forbidden_by && member.required)
        return node.impossible = *forbidden_by + ": additionalProperties forbids " +
                                 write_json_text(member.name) + ", which is required",
               status{};
      if (forbidden_by) continue;
      const result<node_id> at = node_of(std::move(own));
      if (!at) return at.failure();
      member.node = *at;
      node.members.push_back(std::move(member));
    }
    return gather_more_members(parts, node);
  }

  status gather_more_members(const schema_parts& parts, schema_node& node) {
    schema_parts own;
    bool names_any = false;
    for (const schema_part& part : parts) {
      names_any = names_any || part.schema->find("properties");
      const json_value* more = part.schema->find("additionalProperties");
      if (more && is_never(*more)) return node.forbids_more = true, status{};
      if (more) own.push_back({more, part.path + "/additionalProperties"});
    }
    if (own.empty() && names_any) return {};
    const result<node_id> more = node_of(std::move(own));
    if (!more) return more.failure();
    node.more_members = *more;
    return {};
  }

  static constexpr std::size_t work_max = std::size_t{1} << 27;
  using key = std::vector<std::pair<const json_value*, int>>;
  const json_value& root_;
  part_reader parts_;
  std::size_t nodes_max_;
  std::size_t work_ = 0;
  schema_tree tree_;
  std::vector<schema_parts> waiting_;  // by node
  std::map<key, node_id> known_;
};

}  // namespace

result<schema_tree> read_schema(const json_value& schema, std::size_t nodes_max) {
  return tree_reader(schema, nodes_max).read();
}

}  // namespace troupe::kernels::constraint
