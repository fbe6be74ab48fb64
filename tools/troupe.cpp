// troupe: the command line.
#include "tools/cli/command.hpp"

int main(int argc, char** argv) {
  return troupe::cli::run(argc, argv);
}
