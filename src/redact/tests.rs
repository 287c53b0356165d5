use super::*;
#[test]
fn count() {
    let n = Names::with(std::iter::empty());
    println!(
        "{:?} {:?}",
        n.fragments().len(),
        Prefilter::new(n.fragments())
    );
    println!("{}", prefilter::needles(n.fragments()).len());
    for t in std::fs::read_to_string("/work/shared/facts/token-vectors.txt")
        .unwrap()
        .lines()
        .filter(|l| !l.starts_with('#'))
    {
        let f = find(t.as_bytes());
        println!("{} {:?}", &t[..4], f);
        assert_eq!(f.len(), 1);
        assert_eq!(f[0].span, 0..t.len());
    }
}
