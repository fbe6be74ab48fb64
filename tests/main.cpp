#define DOCTEST_CONFIG_IMPLEMENT
#include <doctest/doctest.h>

#include <cstdlib>

int main(int count, char** arguments) {
  // Every run tries the same cases, so that a change is judged by what it changes; RC_PARAMS tries
  // others (tests/README.md).
  ::setenv("RC_PARAMS", "seed=20261121", 0);
  return doctest::Context(count, arguments).run();
}
