// Numbers and times as people read them. Pure.

export function count(value) {
  if (!Number.isFinite(value)) return "–";
  if (Math.abs(value) >= 1e9) return `${(value / 1e9).toFixed(1)} G`;
  if (Math.abs(value) >= 1e6) return `${(value / 1e6).toFixed(1)} M`;
  if (Math.abs(value) >= 1e4) return `${(value / 1e3).toFixed(1)} k`;
  return Math.abs(value) >= 100 || Number.isInteger(value) ? String(Math.round(value)) : value.toFixed(1);
}

export function bytes(value) {
  if (!Number.isFinite(value)) return "–";
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let at = 0;
  while (Math.abs(value) >= 1024 && at < units.length - 1) {
    value /= 1024;
    ++at;
  }
  return `${at === 0 || value >= 100 ? Math.round(value) : value.toFixed(1)} ${units[at]}`;
}

export const rate = (value) => `${bytes(value)}/s`;

export function percent(share) {
  if (!Number.isFinite(share)) return "–";
  const shown = share * 100;
  return `${shown !== 0 && Math.abs(shown) < 10 ? shown.toFixed(1) : Math.round(shown)} %`;
}

// "340 µs", "12 ms", "2.1 s", "3 min 5 s", "2 h 4 min"
export function lasting(seconds) {
  if (!Number.isFinite(seconds)) return "–";
  if (seconds <= 0) return "0 s";
  if (seconds < 0.001) return `${Math.round(seconds * 1e6)} µs`;
  if (seconds < 0.01) return `${(seconds * 1e3).toFixed(1)} ms`;
  if (seconds < 1) return `${Math.round(seconds * 1e3)} ms`;
  if (seconds < 10) return `${seconds.toFixed(1)} s`;
  if (seconds < 60) return `${Math.round(seconds)} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ${Math.floor(seconds % 60)} s`;
  if (seconds < 86400) return `${Math.floor(seconds / 3600)} h ${Math.floor((seconds % 3600) / 60)} min`;
  return `${Math.floor(seconds / 86400)} d ${Math.floor((seconds % 86400) / 3600)} h`;
}

export const clock = (us) => {
  const at = new Date(us / 1000);
  return at.toLocaleTimeString([], { hour12: false }) + "." + String(at.getMilliseconds()).padStart(3, "0");
};

// "job_waiting_for_node" -> "waiting for node"
export const plain = (name, prefix) => String(name ?? "").replace(new RegExp(`^(${prefix})_`), "").replaceAll("_", " ");

export const share = (part, whole) => (whole > 0 ? part / whole : NaN);
// A job's id begins with its time: its end tells two of one minute apart.
export const short_id = (id) => (String(id ?? "").length > 12 ? `…${String(id).slice(-8)}` : String(id ?? ""));
export const short_digest = (digest) => String(digest ?? "").slice(0, 8);
export const some = (n, one, many = one + "s") => `${n} ${n === 1 ? one : many}`;
