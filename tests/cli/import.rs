//! What files become.

use std::io::Write;

use super::{BARS, Place, exists, member};

/// Imports and gives back the closes as CSV.
fn closes(place: &Place, arguments: &[&str], input: &[u8]) -> String {
    let mut line = vec!["import", "--instrument", "A.X", "--frame", "1m"];
    line.extend(arguments);
    place.tape_with(&line, input).clean();
    place.tape("export A.X 1m --csv --time s --columns close").clean()
}

const CLOSES: &str = "time,close\n1704067200,1.75\n1704067260,1.8\n1704067440,1.8\n1704067500,-0\n";

#[test]
fn packed_files_and_standard_input_are_the_same() {
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(BARS.as_bytes()).unwrap();
    let mut zip = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    zip.start_file("bars.csv", zip::write::SimpleFileOptions::default()).unwrap();
    zip.write_all(BARS.as_bytes()).unwrap();
    let packed = [
        gzip.finish().unwrap(),
        zip.finish().unwrap().into_inner(),
        zstd::encode_all(BARS.as_bytes(), 1).unwrap(),
        BARS.as_bytes().to_vec(),
    ];
    for bytes in packed {
        let place = Place::new();
        let file = place.write("file", &bytes);
        assert_eq!(closes(&place, &[&file], b""), CLOSES);
        let place = Place::new();
        assert_eq!(closes(&place, &["-"], &bytes), CLOSES);
    }
}

#[test]
fn dialects_are_found_and_columns_can_be_named() {
    let semicolons = BARS.replace(',', ";");
    let bare = BARS.lines().skip(1).collect::<Vec<_>>().join("\r\n");
    let seconds = BARS.replace("000,", ",");
    for text in [semicolons, bare, seconds] {
        let place = Place::new();
        let file = place.write("bars.csv", &text);
        assert_eq!(closes(&place, &[&file], b""), CLOSES, "{text}");
    }
    let place = Place::new();
    let file = place.write("bars.csv", BARS.replace("close", "last_trade").replace("volume", "vol"));
    assert_eq!(closes(&place, &[&file, "--column", "close=last_trade"], b""), CLOSES);
    let place = Place::new();
    let file = place.write("bars.csv", BARS.replace("close", "last_trade"));
    assert_eq!(closes(&place, &[&file, "--column", "close=5"], b""), CLOSES);
}

#[test]
fn replies_of_exchanges_are_read() {
    let row = "[1704067200000,\"1.5\",\"2\",\"1\",\"1.75\",\"10\",1704067259999,\"17\",3,\"5\",\"8\",\"0\"]";
    for text in [format!("[{row}]"), format!("{row}\n"), format!("{{\"data\":[{row}]}}")] {
        let place = Place::new();
        let file = place.write("reply.json", &text);
        place.tape(&format!("import {file} --instrument A.X --frame 1m")).clean();
        let out = place.tape("export A.X 1m --csv --time ms").clean();
        let expected = "time,open,high,low,close,volume,quote_volume,trades,taker_buy_base,taker_buy_quote\n\
            1704067200000,1.5,2,1,1.75,10,17,3,5,8\n";
        assert_eq!(out, expected);
    }
}

#[test]
fn optional_columns_can_come_later_and_are_null_before() {
    let place = Place::with_bars();
    let file = place.write("more.csv", "ts,open,high,low,close,volume,trades\n1704067560,1,1,1,1,1,7\n");
    place.tape(&format!("import {file} --instrument A.X --frame 1m")).clean();
    let out = place.tape("tail A.X 1m -n 2 --csv --time s --columns close,trades").clean();
    assert_eq!(out, "time,close,trades\n1704067500,-0,\n1704067560,1,7\n");
}

#[test]
fn out_of_order_and_repeated_rows_are_fine() {
    let place = Place::new();
    let mut lines: Vec<&str> = BARS.lines().collect();
    lines[1..].reverse();
    lines.push(lines[2]);
    let file = place.write("bars.csv", lines.join("\n"));
    let summary = place.tape(&format!("import {file} --instrument A.X --frame 1m --json")).clean();
    assert_eq!(
        (member(&summary, "rows"), member(&summary, "added"), member(&summary, "duplicates")),
        (5, 4, 1)
    );
    assert_eq!(place.tape("export A.X 1m --csv --time s --columns close").clean(), CLOSES);
}

#[test]
fn a_bad_row_stops_is_skipped_or_goes_beside() {
    let text = BARS.replace("1704067260000,1.75", "1704067260000,oops");
    let place = Place::new();
    let file = place.write("bars.csv", &text);
    let line = format!("import {file} --instrument A.X --frame 1m");
    let error = place.tape(&line).failed(1);
    assert!(error.contains("bars.csv") && error.contains("line 3") && error.contains("oops"), "{error}");
    assert_eq!(member(&place.tape("stats --json").clean(), "rows"), 0, "nothing of the file is there");
    let skipped = place.tape(&format!("{line} --on-error skip --json"));
    assert!(skipped.err.contains("line 3"), "{}", skipped.err);
    let skipped = skipped.clean();
    assert_eq!((member(&skipped, "added"), member(&skipped, "bad")), (3, 1));
    place.tape(&format!("{line} --on-error quarantine")).clean();
    let beside = place.read("bars.csv.quarantine");
    assert_eq!(beside, "open_time,open,high,low,close,volume\n1704067260000,oops,1.8,1.7,1.8,8e-8\n");
    let mended = place.write("mended.csv", beside.replace("oops", "1.75"));
    place.tape(&format!("import {mended} --instrument A.X --frame 1m")).clean();
    assert_eq!(place.tape("export A.X 1m --csv --time s --columns close").clean(), CLOSES);
}

#[test]
fn several_files_are_taken_in_order_and_one_transaction_each() {
    let place = Place::new();
    let one = place.write("one.csv", BARS);
    let two = place.write("two.csv", BARS.replace("1.75,10", "9,10"));
    let out = place.tape(&format!("import {one} {two} --instrument A.X --frame 1m --json")).clean();
    let updated: Vec<_> = out.lines().map(|line| member(line, "updated")).collect();
    assert_eq!(updated, [0, 1]);
    assert!(place.tape("export A.X 1m --csv --columns close").clean().contains(",9\n"));
    assert_eq!(place.tape("log --json").clean().lines().count(), 2);
}

const TRADES: &str = "ts_ms_utc,price_e4,qty,exchange,note\n1381132800688,491800,300,P,\n\
    1381132800688,491800,300,P,\n1381132981540,488700,2000,Q,odd lot\n";

#[test]
fn equal_trades_are_all_kept_and_imported_once() {
    let place = Place::new();
    let file = place.write("trades.csv", TRADES);
    let line = format!("import {file} --instrument AIG --frame trades --json");
    assert_eq!(member(&place.tape(&line).clean(), "added"), 3);
    let again = place.tape(&line).clean();
    assert_eq!((member(&again, "added"), member(&again, "unchanged")), (0, 3));
    let out = place.tape("export AIG trades --csv --time ms").clean();
    assert_eq!(out, TRADES.replace("ts_ms_utc", "time"));
}

#[test]
fn an_identity_makes_trades_replace_one_another() {
    let place = Place::new();
    let file = place.write("trades.csv", "time,id,price\n1704067200000,7,1.5\n1704067200000,8,1.5\n");
    let line = format!("import {file} --instrument B.X --frame trades --dedup id --json");
    assert_eq!(member(&place.tape(&line).clean(), "added"), 2);
    place.write("trades.csv", "time,id,price\n1704067200000,7,2.5\n");
    let changed = place.tape(&line).clean();
    assert_eq!((member(&changed, "added"), member(&changed, "updated")), (0, 1));
    let other = place.tape(&format!("import {file} --instrument B.X --frame trades --dedup price")).failed(2);
    assert!(other.contains("--dedup"), "{other}");
}

#[test]
fn types_follow_from_the_whole_file_or_are_given() {
    let place = Place::new();
    let file =
        place.write("t.csv", "ts,a,b,c,d,e\n1704067200,1,2,x,true,5\n1704067201,2,2.5,,false,1704067200\n");
    place.tape(&format!("import {file} --instrument T --frame notes --type e=timestamp")).clean();
    let info = place.tape("info T notes --json").clean();
    for (name, kind) in [("a", "i64"), ("b", "f64"), ("c", "string"), ("d", "bool"), ("e", "timestamp")] {
        assert!(info.contains(&format!("{{\"name\": \"{name}\", \"type\": \"{kind}\"")), "{name}: {info}");
    }
}

#[test]
fn what_cannot_be_meant_is_refused_with_the_fix() {
    let place = Place::new();
    let several = "symbol,date,open,high,low,close,volume\nA,2024-01-01,1,1,1,1,1\nB,2024-01-01,2,2,2,2,2\n";
    let file = place.write("several.csv", several);
    let line = format!("import {file} --instrument A.X --frame 1d");
    assert!(place.tape(&line).failed(2).contains("--where symbol=A"));
    place.tape(&format!("{line} --where symbol=B")).clean();
    assert!(place.tape("export A.X 1d --csv").clean().contains("2024-01-01T00:00:00Z,2,2,2,2,2\n"));
    let file = place.write("no.csv", "date,open,high,low,close\n2024-01-01,1,1,1,1\n");
    assert!(
        place.tape(&format!("import {file} --instrument A.X --frame 1d")).failed(2).contains("--no-volume")
    );
    assert!(place.tape("import nowhere.csv --instrument A.X --frame 1d").failed(3).contains("nowhere.csv"));
    assert!(place.tape(&format!("import {file} --instrument A.X --frame 7q")).failed(2).contains("1m"));
    let prices = place.write("trades.csv", "105433.6,0.5,1762795433\n105433.7,0.5,1762795434\n");
    let line = format!("import {prices} --instrument A.X --frame trades");
    assert!(place.tape(&line).failed(2).contains("--column time=N"));
    place.tape(&format!("{line} --column time=3")).clean();
    let empty = place.write("empty.csv", "");
    let ended = place.tape(&format!("import {empty} --instrument Z.X --frame 1d"));
    assert!(ended.err.contains("no rows"), "{}", ended.err);
    ended.clean();
    assert!(exists(&place.store()));
}
