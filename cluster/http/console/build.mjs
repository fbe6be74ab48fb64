// Makes the one page: node build.mjs [FOLDER], default page/. Writes console.html.gz and policy.txt (its Content-Security-Policy).
// The same sources and lock file give the same HTML on every machine.
import { createHash } from "node:crypto";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import { build } from "esbuild";

const here = dirname(fileURLToPath(import.meta.url));
const out = process.argv[2] ?? join(here, "page");

async function bundled(entry) {
  const made = await build({
    entryPoints: [join(here, "source", entry)], absWorkingDir: here, bundle: true, minify: true, write: false, format: "iife",
    target: "es2022", charset: "utf8", legalComments: "none", logLevel: "warning",
  });
  return made.outputFiles[0].text.trim();
}

const script = await bundled("main.js");
const style = await bundled("style.css");
if (script.includes("</script") || style.includes("</style")) throw new Error("a bundle ends its own element");
const notice = readFileSync(join(here, "node_modules/uplot/LICENSE"), "utf8").trim().replaceAll("--", "- -");
const html = readFileSync(join(here, "source/index.html"), "utf8")
  .replace(/>\s+</g, "><")
  .replace("<!--style-->", () => `<style>${style}</style>`)
  .replace("<!--script-->", () => `<script>${script}</script>`)
  .replace("</html>", () => `<!-- uPlot: ${notice} --></html>`);

const hash = (text) => `'sha256-${createHash("sha256").update(text).digest("base64")}'`;
const policy = ["default-src 'none'", `script-src ${hash(script)}`, `style-src ${hash(style)}`, "connect-src 'self'", "img-src data:",
                "base-uri 'none'", "form-action 'none'", "frame-ancestors 'none'"].join("; ");

mkdirSync(out, { recursive: true });
const packed = gzipSync(html, { level: 9 });
packed[9] = 255;  // the system that packed it says nothing about the page
writeFileSync(join(out, "console.html.gz"), packed);
writeFileSync(join(out, "policy.txt"), policy + "\n");
console.log(`page: ${html.length} characters, ${packed.length} bytes packed`);
