#include <exception>
#include <iostream>

#include "engine/commands.hpp"
#include "engine/exit_codes.hpp"

int main(int argc, char** argv) {
  try {
    return wellhead::run_command_line(argc, argv);
  } catch (const std::exception& error) {
    // Only start-up can get here: memory or descriptors ran out before anything was taken.
    std::cerr << "wellhead could not start: " << error.what() << '\n';
    return wellhead::exit_failed;
  }
}
