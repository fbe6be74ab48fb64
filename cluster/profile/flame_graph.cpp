#include "cluster/profile/flame_graph.hpp"

#include <algorithm>
#include <cstdio>
#include <map>
#include <memory>
#include <vector>

namespace troupe::profile {
namespace {

constexpr double width = 1200, margin = 10, row = 17, head = 62, narrowest = 0.3;
constexpr std::size_t depth_max = 200;

struct frame {
  std::uint64_t value = 0;
  std::map<std::string, std::unique_ptr<frame>, std::less<>> called;  // by name, as it is drawn
};

void grow(frame& root, std::string_view stack, std::uint64_t value) {
  root.value += value;
  frame* at = &root;
  for (std::size_t depth = 0; !stack.empty() && depth < depth_max; ++depth) {
    const std::string_view name = stack.substr(0, stack.find(';'));
    stack.remove_prefix(std::min(stack.size(), name.size() + 1));
    auto found = at->called.find(name);
    if (found == at->called.end())
      found = at->called.emplace(std::string(name), std::make_unique<frame>()).first;
    at = found->second.get();
    at->value += value;
  }
}

std::string number(double value) {
  char text[32];
  std::snprintf(text, sizeof text, "%.2f", value);
  return text;
}

std::string with_unit(std::uint64_t value, const std::string& unit) {
  if (unit != "bytes" || value < 1024) return std::to_string(value) + " " + unit;
  const char* const names[] = {"KiB", "MiB", "GiB", "TiB"};
  double left = static_cast<double>(value) / 1024;
  std::size_t at = 0;
  for (; left >= 1024 && at + 1 < std::size(names); ++at) left /= 1024;
  char text[48];
  std::snprintf(text, sizeof text, "%.1f %s", left, names[at]);
  return text;
}

// One picture under way: frames as text, from the outermost on.
class drawing {
 public:
  drawing(std::uint64_t total, std::string unit, std::size_t depth)
      : total_(total), unit_(std::move(unit)), depth_(depth) {}

  void add(std::string_view name, const frame& of, double x, std::size_t depth) {
    const double wide = (width - 2 * margin) * static_cast<double>(of.value) /
                        static_cast<double>(std::max<std::uint64_t>(total_, 1));
    if (wide < narrowest) {
      ++left_out_;
      return;
    }
    const double y = head + row * static_cast<double>(depth_ - depth - 1);
    char share[32];
    std::snprintf(share, sizeof share, "%.2f %%",
                  100.0 * static_cast<double>(of.value) /
                      static_cast<double>(std::max<std::uint64_t>(total_, 1)));
    text_ += "<g class=\"f\" tabindex=\"-1\"><title>" + escaped(name) + " (" +
             escaped(with_unit(of.value, unit_)) + ", " + share + ")</title><rect x=\"" +
             number(x) + "\" y=\"" + number(y) + "\" width=\"" + number(wide) + "\" height=\"" +
             number(row - 1) + "\" fill=\"" + colour_of(name) + "\"/><text x=\"" + number(x + 3) +
             "\" y=\"" + number(y + 12) + "\">" + escaped(fitted(name, wide)) + "</text></g>\n";
    for (const auto& [called, child] : of.called) {
      add(called, *child, x, depth + 1);
      x += (width - 2 * margin) * static_cast<double>(child->value) /
           static_cast<double>(std::max<std::uint64_t>(total_, 1));
    }
  }

  const std::string& text() const { return text_; }
  std::size_t left_out() const { return left_out_; }

 private:
  static std::string fitted(std::string_view name, double wide) {
    const auto room = static_cast<std::size_t>(std::max(0.0, (wide - 6) / 6.6));
    if (room < 3) return {};
    if (name.size() <= room) return std::string(name);
    return std::string(name.substr(0, room - 2)) + "..";
  }

  const std::uint64_t total_;
  const std::string unit_;
  const std::size_t depth_;
  std::string text_;
  std::size_t left_out_ = 0;
};

std::size_t depth_of(const frame& of) {
  std::size_t deepest = 0;
  for (const auto& [name, child] : of.called) deepest = std::max(deepest, depth_of(*child));
  return deepest + 1;
}

constexpr const char* style =
    "text{font:11px ui-monospace,Menlo,Consolas,monospace;fill:#111;pointer-events:none}"
    "#t{font-size:16px;font-weight:bold}.f{cursor:pointer;outline:none}"
    ".f:hover rect,.f:focus rect{stroke:#000;stroke-width:1.5}.hit rect{fill:#d0f}"
    "#reset,#find{cursor:pointer;pointer-events:auto;fill:#06c;text-decoration:underline}"
    "rect.back{fill:#fff}";

// Works on what is drawn: each frame's place is read from its <rect> once.
constexpr const char* script = R"js(
(function(){
var W=1200,M=10,all=[].slice.call(document.querySelectorAll('.f')),say=document.getElementById('said');
var f=all.map(function(g){var r=g.querySelector('rect'),t=g.querySelector('title').textContent;
return{g:g,r:r,t:g.querySelector('text'),x:+r.getAttribute('x'),w:+r.getAttribute('width'),y:+r.getAttribute('y'),
full:t,name:t.slice(0,t.lastIndexOf(' ('))}});
var zoomed=f[0];
function fit(o,w){var n=Math.floor((w-6)/6.6);return n<3?'':o.name.length<=n?o.name:o.name.slice(0,n-2)+'..'}
function zoom(z){zoomed=z;var k=(W-2*M)/z.w;f.forEach(function(o){
var above=o.y<=z.y&&o.x>=z.x-.011&&o.x+o.w<=z.x+z.w+.011,below=o.y>z.y&&o.x<=z.x+.011&&o.x+o.w>=z.x+z.w-.011;
o.g.style.display=above||below?'':'none';if(!above&&!below)return;
var x=below?M:M+(o.x-z.x)*k,w=below?W-2*M:o.w*k;
o.r.setAttribute('x',x);o.r.setAttribute('width',w);o.t.setAttribute('x',x+3);o.t.textContent=fit(o,w)});}
function of(e){var g=e.target.closest?e.target.closest('.f'):null;return g?f[all.indexOf(g)]:null}
function search(){var w=prompt('Find functions whose name has:','');if(w===null)return;var seen={},sum=0;
f.forEach(function(o){var hit=w!==''&&o.name.indexOf(w)>=0;o.g.classList.toggle('hit',hit);
if(hit&&!f.some(function(p){return p!==o&&p.y>o.y&&p.g.classList.contains('hit')&&p.x<=o.x+.011&&p.x+p.w>=o.x+o.w-.011}))sum+=o.w});
say.textContent=w===''?'':'"'+w+'": '+(100*sum/f[0].w).toFixed(2)+' %'}
function walk(o,key){var best=null;f.forEach(function(p){if(p.g.style.display==='none'||p===o)return;
var up=p.y<o.y-1&&p.y>o.y-20&&p.x>=o.x-.011&&p.x<o.x+o.w,down=p.y>o.y+1&&p.y<o.y+20&&p.x<=o.x+.011&&p.x+p.w>=o.x+o.w-.011,
same=Math.abs(p.y-o.y)<1;
if(key==='ArrowUp'&&up&&(!best||p.w>best.w)||key==='ArrowDown'&&down||
key==='ArrowRight'&&same&&p.x>o.x&&(!best||p.x<best.x)||key==='ArrowLeft'&&same&&p.x<o.x&&(!best||p.x>best.x))best=p});
if(best){best.g.focus();say.textContent=best.full}}
document.addEventListener('click',function(e){if(e.target.id==='reset')return zoom(f[0]);if(e.target.id==='find')return search();
var o=of(e);if(o)zoom(o)});
document.addEventListener('mouseover',function(e){var o=of(e);if(o)say.textContent=o.full});
document.addEventListener('keydown',function(e){var o=of(e);if(e.key==='Escape')zoom(f[0]);
else if(e.key==='/'){e.preventDefault();search()}else if(e.key==='Enter'&&e.target.id==='reset')zoom(f[0]);
else if(e.key==='Enter'&&e.target.id==='find')search();else if(e.key==='Enter'&&o)zoom(o);
else if(e.key.indexOf('Arrow')===0){e.preventDefault();o?walk(o,e.key):f[0]&&f[0].g.focus()}});
if(f[0])f[0].g.setAttribute('tabindex','0');
})();
)js";

}  // namespace

std::string escaped(std::string_view text) {
  std::string out;
  for (const char c : text) {
    switch (c) {
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '&':
        out += "&amp;";
        break;
      case '"':
        out += "&quot;";
        break;
      case '\'':
        out += "&#39;";
        break;
      default:
        out += c < 0x20 || c > 0x7e ? '?' : c;
    }
  }
  return out;
}

// Warm and light, so that black text can be read on it; libraries' frames are grey.
std::string colour_of(std::string_view frame) {
  std::uint32_t hash = 2166136261u;
  for (const char c : frame) hash = (hash ^ static_cast<unsigned char>(c)) * 16777619u;
  const unsigned spread = hash >> 8 & 0xff, other = hash >> 16 & 0xff;
  const bool plain = frame.starts_with('[') || frame.starts_with('(');
  char text[8];
  if (plain)
    std::snprintf(text, sizeof text, "#%02x%02x%02x", 190 + spread / 8, 190 + spread / 8,
                  195 + spread / 8);
  else
    std::snprintf(text, sizeof text, "#%02x%02x%02x", 225 + spread / 9, 130 + other * 100 / 255,
                  70 + spread / 4);
  return text;
}

std::string flame_graph(const folded_stacks& stacks, const flame_graph_words& words) {
  frame root;
  for (const auto& [stack, value] : stacks.all()) grow(root, stack, value);
  const std::size_t depth = depth_of(root);
  drawing picture(root.value, words.unit, depth);
  if (root.value > 0) picture.add("all", root, margin, 0);
  const double height = head + row * static_cast<double>(depth) + 30;
  std::string under = words.subtitle;
  if (root.value == 0)
    under += (under.empty() ? "" : "; ") + std::string("there is nothing to show");
  if (picture.left_out() > 0)
    under += (under.empty() ? "" : "; ") + std::to_string(picture.left_out()) +
             " frames too narrow to be seen are not drawn";
  std::string out =
      "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<svg xmlns=\"http://www.w3.org/2000/svg\" "
      "viewBox=\"0 0 " +
      number(width) + " " + number(height) + "\" width=\"100%\" role=\"group\" lang=\"en\" " +
      "aria-labelledby=\"t u\">\n<style>" + style +
      "</style>\n<rect class=\"back\" width=\"100%\" height=\"100%\"/>\n<text id=\"t\" x=\"" +
      number(margin) + "\" y=\"22\">" + escaped(words.title) + "</text>\n<text id=\"u\" x=\"" +
      number(margin) + "\" y=\"38\">" + escaped(under) + "</text>\n";
  out += "<text id=\"reset\" role=\"button\" tabindex=\"0\" x=\"" + number(margin) +
         "\" y=\"54\">whole picture</text>\n<text id=\"find\" role=\"button\" tabindex=\"0\" "
         "x=\"120\" y=\"54\">find</text>\n<text id=\"said\" aria-live=\"polite\" x=\"" +
         number(margin) + "\" y=\"" + number(height - 10) + "\"></text>\n";
  out += picture.text();
  out += std::string("<script>//<![CDATA[") + script + "//]]></script>\n</svg>\n";
  return out;
}

}  // namespace troupe::profile
