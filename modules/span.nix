# Spans of time such as "30s", "2min" or "1h 30min", as the program reads them.
{ lib }:

let
  # In milliseconds. The program writes a month as 30.44 and a year as 365.25
  # days; nothing here is ever that long.
  lengths = lib.mapAttrs (_: unit: unit.length) units;
  units = lib.foldl' (all: unit: all // lib.genAttrs unit.names (_: unit)) { } [
    {
      length = 1;
      names = [
        "millis"
        "msec"
        "ms"
      ];
    }
    {
      length = 1000;
      names = [
        "seconds"
        "second"
        "secs"
        "sec"
        "s"
      ];
    }
    {
      length = 60 * 1000;
      names = [
        "minutes"
        "minute"
        "mins"
        "min"
        "m"
      ];
    }
    {
      length = 60 * 60 * 1000;
      names = [
        "hours"
        "hour"
        "hrs"
        "hr"
        "h"
      ];
    }
    {
      length = 24 * 60 * 60 * 1000;
      names = [
        "days"
        "day"
        "d"
      ];
    }
    {
      length = 7 * 24 * 60 * 60 * 1000;
      names = [
        "weeks"
        "week"
        "wks"
        "wk"
        "w"
      ];
    }
  ];

  # "1h 30min" → [ [ "1" "h" ] " " [ "30" "min" ] ], without the empty texts.
  split = text: lib.filter (part: part != "") (builtins.split "([0-9]+) *([a-z]+)" text);
  isGood =
    part: if lib.isString part then lib.match " +" part != null else lengths ? ${lib.elemAt part 1};
in
rec {
  # Whole seconds, rounded up, or null when the text is no span.
  toSeconds =
    text:
    let
      parts = split text;
      pairs = lib.filter lib.isList parts;
      sum = lib.foldl' (
        sum: pair: sum + lib.toIntBase10 (lib.head pair) * lengths.${lib.elemAt pair 1}
      ) 0 pairs;
    in
    if lib.isString text && pairs != [ ] && lib.all isGood parts then (sum + 999) / 1000 else null;

  isSpan = text: toSeconds text != null;
}
