//! A disk without space, seen from the command line.

#[path = "../../engine/store/tests/common/small_disk.rs"]
mod small_disk;

use super::{Ended, member, minutes, run, tape};
use small_disk::SmallDisk;

fn on(disk: &SmallDisk, line: &str, input: &[u8]) -> Ended {
    let mut command = tape();
    command.arg("--store").arg(disk.path().join("store")).args(line.split_whitespace());
    run(command, input)
}

#[test]
fn delete_and_prune_work_on_a_full_disk_and_writes_say_what_to_do() {
    let Some(disk) = SmallDisk::mount("cli", 1500) else { return };
    let import =
        |name: &str| on(&disk, &format!("import - --instrument {name} --frame 1m"), minutes(3000).as_bytes());
    for name in ["A.X", "B.X", "C.X"] {
        import(name).clean();
    }
    disk.fill();
    // It takes what fits, then ends with one line that names the file and the fix.
    let error = (0..50).map(|number| import(&format!("N{number}.X"))).find(|ended| ended.code != 0);
    let error = error.expect("a disk without space").failed(3);
    assert!(error.contains("No space left") && error.contains("make space on this disk"), "{error}");
    assert_eq!(member(&on(&disk, "info A.X 1m --json", b"").clean(), "rows"), 3000);
    // What the failed commit left of itself is a note at most.
    assert!([0, 1].contains(&on(&disk, "verify --deep", b"").code));
    let deleted = on(&disk, "delete A.X 1m --from 1704067200 --to 2024-01-01T01:00 --json", b"").clean();
    assert_eq!(member(&deleted, "deleted"), 60);
    on(&disk, "delete B.X 1m --all", b"").clean();
    let error = import("B.X").failed(3);
    assert!(error.contains("make space on this disk"), "{error}");
    let newest = member(&on(&disk, "stats --json", b"").clean(), "version");
    let pruned = on(&disk, &format!("prune --keep-from {newest} --json"), b"").clean();
    assert_eq!(member(&pruned, "floor"), newest);
    assert!(member(&pruned, "bytes_after") < member(&pruned, "bytes_before"), "{pruned}");
    disk.give_space();
    import("B.X").clean();
    assert_eq!(member(&on(&disk, "info A.X 1m --json", b"").clean(), "rows"), 2940);
    on(&disk, "verify --deep", b"").clean();
}

#[test]
fn delete_takes_a_range_or_all() {
    let place = super::Place::with_bars();
    let error = place.tape("delete A.X 1m").failed(2);
    assert!(error.contains("--all"), "{error}");
    let text = place.tape("delete A.X 1m --to 2024-01-01T00:02").clean();
    assert!(text.contains("2 rows of A.X 1m deleted") && text.contains("version 2"), "{text}");
    assert!(place.tape("delete A.X 1m --to 2024-01-01T00:02").clean().contains("nothing to do"));
    assert_eq!(member(&place.tape("delete A.X 1m --all --json").clean(), "deleted"), 2);
    place.tape("head A.X 1m").failed(2);
    assert_eq!(place.tape("head A.X 1m --csv --as-of 1").clean().lines().count(), 5);
}
