//! Lanes of a graph of points: what the machine was, and what that came from.
//!
//! A point comes from the one before it, or where the machine had been brought
//! back in between, from the one it was brought back to. So every point comes
//! from one at most, and what was left behind ends in a branch of its own.

/// One line of the graph.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// Its lanes, two columns each but for the last: `●` is the point.
    pub lanes: String,
    /// The point, by its place in what was given; none where lanes only meet.
    pub point: Option<usize>,
}

/// The lines of points, newest first, each with the place of the one it comes
/// from, which is a later place than its own. Others count as none.
pub fn lines(from: &[Option<usize>]) -> Vec<Line> {
    // What each lane leads down to; none where a lane has ended.
    let mut lanes: Vec<Option<usize>> = Vec::new();
    let mut lines = Vec::new();
    for (point, from) in from.iter().enumerate() {
        let mut meeting = lanes
            .iter()
            .enumerate()
            .filter(|(_, to)| **to == Some(point))
            .map(|(lane, _)| lane);
        let own = meeting.next();
        let others: Vec<usize> = meeting.collect();
        if let Some(own) = own.filter(|_| !others.is_empty()) {
            lines.push(Line {
                lanes: joined(&lanes, own, &others),
                point: None,
            });
            for lane in others {
                lanes[lane] = None;
            }
        }
        let own = own.unwrap_or_else(|| {
            let free = lanes.iter().position(Option::is_none);
            free.unwrap_or_else(|| {
                lanes.push(None);
                lanes.len() - 1
            })
        });
        lanes[own] = Some(point);
        trim(&mut lanes);
        lines.push(Line {
            lanes: drawn(&lanes, |lane, _| if lane == own { '●' } else { '│' }),
            point: Some(point),
        });
        lanes[own] = from.filter(|from| *from > point);
        trim(&mut lanes);
    }
    lines
}

fn trim(lanes: &mut Vec<Option<usize>>) {
    while lanes.last() == Some(&None) {
        lanes.pop();
    }
}

fn drawn(lanes: &[Option<usize>], sign: impl Fn(usize, usize) -> char) -> String {
    let signs = lanes.iter().enumerate().map(|(lane, to)| match to {
        Some(to) => sign(lane, *to),
        None => ' ',
    });
    let signs: Vec<String> = signs.map(String::from).collect();
    signs.join(" ").trim_end().to_owned()
}

/// The line where the lanes `others` come to `own`.
fn joined(lanes: &[Option<usize>], own: usize, others: &[usize]) -> String {
    let last = others.last().copied().unwrap_or(own);
    let mut text = String::new();
    for (lane, to) in lanes.iter().enumerate() {
        let within = own < lane && lane < last;
        text.push(match to {
            Some(_) if lane == own => '├',
            Some(_) if lane == last => '╯',
            Some(_) if others.contains(&lane) => '┴',
            Some(_) if within => '┼',
            Some(_) => '│',
            None if within => '─',
            None => ' ',
        });
        text.push(if own <= lane && lane < last {
            '─'
        } else {
            ' '
        });
    }
    text.trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn text(from: &[Option<usize>]) -> String {
        let lines = lines(from).into_iter();
        let lines = lines.map(|line| match line.point {
            Some(point) => format!("{} {point}\n", line.lanes),
            None => format!("{}\n", line.lanes),
        });
        lines.collect()
    }

    #[test]
    fn what_nothing_was_brought_back_in_is_one_line() {
        assert_eq!(text(&[Some(1), Some(2), None]), "● 0\n● 1\n● 2\n");
        assert_eq!(text(&[]), "");
    }

    #[test]
    fn what_was_left_behind_is_a_branch() {
        // 0 came after going back to 3: 1 and 2 were left behind.
        let told = text(&[Some(3), Some(2), Some(3), None]);
        assert_eq!(told, "● 0\n│ ● 1\n│ ● 2\n├─╯\n● 3\n");
    }

    #[test]
    fn several_branches_meet_and_pass_each_other() {
        let told = text(&[Some(4), Some(3), Some(4), Some(4), None]);
        assert_eq!(told, "● 0\n│ ● 1\n│ │ ● 2\n│ ● │ 3\n├─┴─╯\n● 4\n");
        // A lane that ended makes room for the next.
        let told = text(&[Some(4), None, Some(3), Some(4), None]);
        assert_eq!(told, "● 0\n│ ● 1\n│ ● 2\n│ ● 3\n├─╯\n● 4\n");
        let told = text(&[Some(5), Some(4), Some(5), Some(4), None, None]);
        assert_eq!(
            told,
            "● 0\n│ ● 1\n│ │ ● 2\n│ │ │ ● 3\n│ ├─┼─╯\n│ ● │ 4\n├───╯\n● 5\n"
        );
    }

    proptest! {
        #[test]
        fn every_point_has_one_line_and_every_lane_leads_somewhere(
            up in prop::collection::vec(prop::option::of(1usize..6), 0..40)
        ) {
            let count = up.len();
            let from: Vec<Option<usize>> = up
                .iter()
                .enumerate()
                .map(|(n, up)| up.map(|up| n + up).filter(|to| *to < count))
                .collect();
            let lines = lines(&from);
            let points: Vec<usize> = lines.iter().filter_map(|l| l.point).collect();
            prop_assert_eq!(points, (0..from.len()).collect::<Vec<_>>());
            for line in &lines {
                prop_assert_eq!(line.lanes.contains('●'), line.point.is_some());
            }
        }
    }
}
