"""Each rule finds what it is there for, and nothing in a tree that keeps it."""

import os
import tempfile
import unittest

import readme_commands
import rules


class RulesTest(unittest.TestCase):
    def assert_found(self, found, part):
        self.assertEqual(len(found), 1, found)
        self.assertIn(part, found[0])

    def test_layering(self):
        self.assertEqual(rules.layering({"kernels/a.cpp": '#include "config/outcome.hpp"\n#include <vector>\n'}), [])
        self.assert_found(rules.layering({"kernels/a.cpp": '\n#include "actors/core.hpp"\n'}), "kernels/a.cpp:2:")
        self.assert_found(rules.layering({"config/a.hpp": '#include "proto/job.pb.h"\n'}), "config/ may not include")
        self.assert_found(rules.layering({"actors/a.cpp": '#include "tests/x.hpp"\n'}), "actors/ may not include tests")
        self.assert_found(rules.layering({"actors/a.cpp": '#include "../core.hpp"\n'}), "goes upwards")
        self.assert_found(rules.layering({"actors/a.cpp": '#include "core.hpp"\n'}), "from the project's root")
        self.assertEqual(rules.layering({"tests/a.cpp": '#include "anything.hpp"\n'}), [])

    def test_quarantine(self):
        self.assertEqual(rules.layering({"cluster/link/a.cpp": "#include <zmq.hpp>\n"}), [])
        self.assert_found(rules.layering({"cluster/node/a.cpp": "#include <zmq.hpp>\n"}), "zmq.hpp may be included only by")
        self.assert_found(rules.layering({"actors/a.cpp": "#include <hiredis/hiredis.h>\n"}), "hiredis")
        self.assertEqual(rules.layering({"actors/cache_tier/redis_store.cpp": "#include <hiredis/hiredis.h>\n"}), [])
        self.assert_found(rules.layering({"actors/x/x_core.hpp": "#include <caf/all.hpp>\n"}), "no place in a core")
        self.assertEqual(rules.layering({"actors/x/x_actor.cpp": "#include <caf/all.hpp>\n"}), [])
        self.assert_found(rules.layering({"kernels/x.cpp": "#include <caf/all.hpp>\n"}), "no place in a core")

    def test_client_header(self):
        header = "cluster/client/troupe.hpp"
        self.assertEqual(rules.client_header({header: '#include <string>\n#include "config/outcome.hpp"\n'}), [])
        self.assert_found(rules.client_header({header: '#include "proto/job.pb.h"\n'}), "public header")

    def test_dead_files(self):
        tree = {"config/a.cpp": '#include "config/a.hpp"\n', "config/a.hpp": "", "config/b.hpp": ""}
        self.assert_found(rules.dead_headers(tree), "config/b.hpp")
        self.assertEqual(rules.dead_sources(tree, "build x.o: CXX /src/config/a.cpp"), [])
        self.assert_found(rules.dead_sources(tree, "build x.o: CXX /src/config/c.cpp"), "config/a.cpp")
        kernel = {"kernels/backend/cuda/a.cu": "", "kernels/backend/cuda/b_cuda.cpp": "", "kernels/backend/cuda/c.cpp": ""}
        self.assertEqual(len(rules.dead_sources(kernel, "/kernels/backend/cuda/bodies/rows.cu")), 3)  # nvcc was found
        self.assert_found(rules.dead_sources(kernel, ""), "c.cpp")
        self.assertEqual(len(rules.dead_sources(kernel, "")), 1)
        self.assert_found(rules.dead_scripts({"tools/lonely": "#!/bin/sh\n", "README.md": "none"}), "tools/lonely")
        self.assertEqual(rules.dead_scripts({"tools/known": "#!/bin/sh\n", "README.md": "tools/known"}), [])

    def test_dead_settings(self):
        table = {"config/settings_table.cpp": '    {"link.listen", text, "",\n'}
        self.assert_found(rules.dead_settings(table), "link.listen")
        self.assertEqual(rules.dead_settings(table | {"cluster/a.cpp": 's.text("link.listen")'}), [])

    def test_names_sizes_and_words(self):
        self.assert_found(rules.names({"actors/utils.cpp": ""}), "'utils'")
        self.assert_found(rules.names({"actors/JobTable.cpp": ""}), "snake_case")
        self.assertEqual(rules.names({"actors/job_table.cpp": ""}), [])
        self.assert_found(rules.sizes({"actors/a.hpp": "\n" * 251}), "251 lines")
        self.assertEqual(rules.sizes({"actors/a.cpp": "\n" * 500, "tests/a.cpp": "\n" * 600}), [])
        self.assert_found(rules.words({"a.cpp": "// TO" + "DO later\n"}), "unfinished")
        self.assert_found(rules.words({"a.md": "see /wo" + "rk/main\n"}), "path of one machine")
        self.assertEqual(rules.words({"a.md": "net/root/x https://host/home/x\n"}), [])
        guides = {"README.md": ""} | {f"{room}/README.md": "" for room in [*rules.MAY_INCLUDE, "tests", "deploy"]}
        self.assertEqual(rules.readmes(guides), [])
        del guides["actors/README.md"]
        self.assert_found(rules.readmes(guides), "actors/README.md")

    def test_readme_commands(self):
        with tempfile.TemporaryDirectory() as folder:
            program = os.path.join(folder, "troupe")
            with open(program, "w", encoding="utf-8") as file:
                file.write("#!/bin/sh\ncase \"$1\" in submit) echo 'submit: --at TEXT';; --help) printf 'top\\nSubcommands:\\n submit\\n';; "
                           "*) exit 2;; esac\n")
            os.chmod(program, 0o755)

            def check(command):
                return readme_commands.check({"README.md": f"```sh\n{command}\n```\n"}, folder, {"troupe": program})

            self.assertEqual(check("troupe submit --at 1 # note"), [])
            self.assertEqual(check("build/release/bin/troupe submit --at=1"), [])
            self.assert_found(check("troupe submit --att 1"), "no flag --att")
            self.assert_found(check("troupe submitt --at 1"), "README.md:2: troupe has no command submitt")
            self.assert_found(check("tools/nothing"), "there is no tools/nothing")
            self.assertEqual(readme_commands.check({"README.md": "```cpp\ntroupe --x\n```\n"}, folder, {"troupe": program}), [])


if __name__ == "__main__":
    unittest.main()
