fn main() {
    for (name, crd) in workspace_operator::api::crd::all().unwrap() { println!("---\n{}", workspace_operator::api::crd::yaml(&name, &crd).unwrap()); }
}
