//! A test of the text that `cargo dev without` leaves.

use super::without::without;

#[test]
fn a_part_is_removed_with_its_doc_comments_and_shared_lines_with_the_last_part() {
    let text = "a\n///\nb // one\n\n# one: begin\nc\n# one: end\n\n| <!-- two --> |\ne /* one, two */\none\n";

    let without_one = without("one", text).expect("complete blocks");

    assert_eq!(without_one, "a\n\n| <!-- two --> |\ne /* two */\none\n");
    assert_eq!(without("two", &without_one).expect("complete blocks"), "a\n\none\n");
    assert!(without("one", "# one: begin\n").is_err() && without("one", "# one: end\n").is_err());
}
