# Types that several options share.
{ lib }:

let
  inherit (lib) mkOption types;
  spans = import ./span.nix { inherit lib; };

  # What retention rules read as a length of time, largest unit first.
  duration =
    types.addCheck (types.strMatching (
      lib.concatMapStrings (unit: "([1-9][0-9]*${unit})?") [
        "y"
        "m"
        "w"
        "d"
        "h"
      ]
    )) (text: text != "")
    // {
      description = "length of time such as 36h, 10d, 2w, 6m or 1y6m (years, months, weeks, days, hours)";
    };

  keepCount =
    default: what: example:
    mkOption {
      type = types.ints.unsigned;
      inherit default example;
      description = "How many ${what} to keep. `0` leaves this rule out.";
    };
in
{
  # What the policy reads as a span of time. A unit is always named.
  span = types.addCheck types.str spans.isSpan // {
    description = "span of time such as 30s, 2min or 1h 30min";
  };

  # A calendar event. Whether systemd understands it is found when it is built.
  schedule = types.str;

  # A program and its arguments.
  command = types.listOf types.str;

  # The same rules for points and for generations. An item stays when any one
  # rule keeps it.
  keepRules =
    { items, last }:
    {
      keepLast = keepCount last "of the newest ${items}" 30;
      keepHourly = keepCount 0 "hours to keep the newest of the ${items} of" 24;
      keepDaily = keepCount 0 "days to keep the newest of the ${items} of" 7;
      keepWeekly = keepCount 0 "weeks to keep the newest of the ${items} of" 4;
      keepMonthly = keepCount 0 "months to keep the newest of the ${items} of" 12;
      keepYearly = keepCount 0 "years to keep the newest of the ${items} of" 5;
      keepWithin = mkOption {
        type = types.nullOr duration;
        default = null;
        example = "14d";
        description = ''
          Keep all ${items} that were made in this length of time before the
          newest of them. `null` leaves this rule out.
        '';
      };
      minAge = mkOption {
        type = types.nullOr duration;
        default = null;
        example = "2d";
        description = ''
          Never delete ${items} younger than this, even if no rule keeps them.
          `null` sets no such age.
        '';
      };
    };

  keepTags = mkOption {
    type = types.listOf types.str;
    default = [ ];
    example = [
      "release"
      "before-upgrade,tested"
    ];
    description = ''
      Keep restore points that have one of these tags. Tags joined by commas
      must all be there.
    '';
  };
}
