//! The store is compiled into the binary: a file that is added to it is a change of the binary.

fn main() {
    for folder in ["schema", "policies", "matrix", "requests", "openapi", "src/cli/init"] {
        println!("cargo::rerun-if-changed={folder}");
    }
}
