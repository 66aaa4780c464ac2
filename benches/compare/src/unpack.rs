//! Files as they are stored, unpacked: gz, xz, zst, and the files in a zip.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;

/// Names and texts of what a file holds: itself, unpacked, or the files in a zip.
pub(crate) fn contents(path: &Path) -> Result<Vec<(String, String)>, String> {
    let failed = |error: &dyn std::fmt::Display| format!("{}: {error}", path.display());
    let mut file = File::open(path).map_err(|error| failed(&error))?;
    let extension = path.extension().map(|extension| extension.to_string_lossy().to_lowercase());
    let mut bytes = Vec::new();
    match extension.as_deref() {
        Some("zip") => return zipped(path),
        Some("gz") => drop(
            flate2::read::MultiGzDecoder::new(file)
                .read_to_end(&mut bytes)
                .map_err(|error| failed(&error))?,
        ),
        Some("zst") => zstd::stream::copy_decode(file, &mut bytes).map_err(|error| failed(&error))?,
        Some("xz") => lzma_rs::xz_decompress(&mut std::io::BufReader::new(file), &mut bytes)
            .map_err(|error| failed(&format!("{error:?}")))?,
        _ => drop(file.read_to_end(&mut bytes).map_err(|error| failed(&error))?),
    }
    let text = String::from_utf8(bytes).map_err(|_| failed(&"is no text in UTF-8"))?;
    Ok(vec![(stem(path), text)])
}

/// Names and texts of the files in a zip, and in zips within it.
fn zipped(path: &Path) -> Result<Vec<(String, String)>, String> {
    let failed = |error: String| format!("{}: {error}", path.display());
    let file = File::open(path).map_err(|error| failed(error.to_string()))?;
    let mut out = Vec::new();
    unzip(file, &mut out).map_err(failed)?;
    out.sort();
    Ok(out)
}

fn unzip(file: impl std::io::Read + std::io::Seek, out: &mut Vec<(String, String)>) -> Result<(), String> {
    let told = |error: &dyn std::fmt::Display| error.to_string();
    let mut archive = zip::ZipArchive::new(file).map_err(|error| told(&error))?;
    for index in 0..archive.len() {
        let mut entry = archive.by_index(index).map_err(|error| told(&error))?;
        if !entry.is_file() {
            continue;
        }
        let name = entry.name().map_err(|error| told(&error))?.into_owned();
        let mut bytes = Vec::new();
        entry.read_to_end(&mut bytes).map_err(|error| format!("{name}: {error}"))?;
        if Path::new(&name).extension().is_some_and(|extension| extension.eq_ignore_ascii_case("zip")) {
            let mut inside = Vec::new();
            unzip(std::io::Cursor::new(bytes), &mut inside).map_err(|error| format!("{name}: {error}"))?;
            out.extend(inside.into_iter().map(|(file, text)| (format!("{name}/{file}"), text)));
        } else {
            let text = String::from_utf8(bytes).map_err(|_| format!("{name} is no text in UTF-8"))?;
            out.push((name, text));
        }
    }
    Ok(())
}

/// The name of a file without what says its form.
pub(crate) fn stem(path: &Path) -> String {
    let mut name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    for form in [".gz", ".zst", ".xz", ".zip", ".csv", ".tsv", ".txt"] {
        if let Some(shorter) = name.strip_suffix(form) {
            name.truncate(shorter.len());
        }
    }
    name
}
