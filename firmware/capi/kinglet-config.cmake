# Kinglet's library for programs in C, a target for each core: after
# find_package(kinglet), kinglet::m4 and so on.
file(GLOB kinglet_libraries "${CMAKE_CURRENT_LIST_DIR}/*/libkinglet.a")
foreach(library IN LISTS kinglet_libraries)
  get_filename_component(core "${library}" DIRECTORY)
  get_filename_component(core "${core}" NAME)
  add_library(kinglet::${core} STATIC IMPORTED)
  set_target_properties(kinglet::${core} PROPERTIES
    IMPORTED_LOCATION "${library}"
    INTERFACE_INCLUDE_DIRECTORIES "${CMAKE_CURRENT_LIST_DIR}/include")
endforeach()
