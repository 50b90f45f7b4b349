//! Generates a set and prints the truth: `speed <out> <kong> <hours> [pt1h]`.

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let config = corridor_generate::GenerateConfig {
        out: words[0].clone().into(),
        kong: words[1].parse()?,
        hours: words[2].parse()?,
        pt1h: words.len() > 3,
        ..Default::default()
    };
    corridor_generate::generate(&config, &mut |_| {})?;
    Ok(())
}
