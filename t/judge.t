#!/usr/bin/perl
# once

# The verdict of t/chaos: what excuses a missing record, and what does not.

use strict;
use warnings;

use File::Temp qw(tempdir);
use JSON::PP qw(encode_json);
use Test::More;
use Test::Fanout::Chaos::Judge;

my $dir = tempdir(CLEANUP => 1);


sub file {
    my ($name, @lines) = @_;

    open my $fh, '>', "$dir/$name" or die "$dir/$name: $!\n";
    print $fh map { "$_\n" } @lines;
    close $fh or die "$dir/$name: $!\n";

    return "$dir/$name";
}


# key-1, numbers 0 to 9 in partition 2 at the offsets 100 to 109, made at
# 1000, 1001 ... seconds
my @produced = map { "key-1 $_ " . (1000 + $_) * 1e9 . " 2 $_ " . (100 + $_) }
               0 .. 9;

my $gap = '2026/01/01 10:00:00 [warn] 77#77: fanout: gap in topic "t" '
          . 'partition 2: offsets 103 to 105 missed';

my $leaves = '2026/01/01 10:00:00 [notice] 77#77: gracefully shutting down';

my %session = (filter => 't/key-1', worker => 77, group => 'x', session => 0,
               life => 0, opened => 990, at => 1010, gaps => 0, counted => 0,
               uncounted => 0, exact => 1, received => 10, missed => 0);

my %end = (%session, kind => 'end', how => 'live',
           marks => [['key-1', 0, 9, 0]]);

my %missed = (%session, kind => 'missed', key => 'key-1', seq => 5,
              by => 'key', partition => 2, from => 3, to => 5, gaps => 1);


# the kinds of what is found in a report of those lines
sub is_judged {
    my ($name, $want, $lines, %o) = @_;

    my $judge = Test::Fanout::Chaos::Judge->new(
        until => 1009, error_log => $gap, %o);

    $judge->produced('t', file('produced', @{ $o{produced} || \@produced }));
    $judge->report(file('report', map { encode_json($_) } @$lines));

    is(join(' ', map { $_->{what} } $judge->findings), $want, $name)
        or diag(explain([$judge->findings]));

    return $judge;
}


is_judged('all came', '', [\%end]);

is_judged('lost', 'lost', [{ %missed, kind => 'lost', gaps => 0 }, \%end]);
is_judged('doubled', 'doubled', [{ %missed, kind => 'doubled' }, \%end]);

my $lapse = is_judged('a gap in the log', '',
                      [{ %missed, uncounted => 1 },
                       { %end, gaps => 1, uncounted => 1, missed => 2 }]);

is($lapse->{excused}{lapse}, 2, 'two records');

is_judged('a gap of another worker', 'missed',
          [{ %missed, uncounted => 1, worker => 78 }]);

is_judged('more than the gap', 'missed',
          [{ %missed, uncounted => 1, to => 6 }]);

is_judged('skipped by who is slow', '',
          [{ %missed, group => 'slow', uncounted => 1, from => 5, to => 6 },
           { %missed, group => 'slow', uncounted => 1 }]);

is_judged('with another notice', 'missed',
          [{ %missed, group => 'slow', uncounted => 1, from => 5, to => 6 },
           { %missed, group => 'slow', uncounted => 1, gaps => 2 }]);

is_judged('a gap in no log', 'missed', [{ %missed, uncounted => 1 }],
          error_log => '');

is_judged('counted', '', [{ %missed, counted => 2 },
                          { %end, gaps => 1, counted => 2, missed => 2 }]);

is_judged('too few counted', 'count',
          [{ %end, gaps => 1, counted => 1, missed => 2 }]);

is_judged('too many counted', 'count',
          [{ %end, gaps => 1, counted => 3, missed => 2 }]);

is_judged('counted, and none seen', '',
          [{ %end, marks => [], gaps => 1, counted => 10 }]);

# the edges of a session

is_judged('the last ones did not come', 'tail',
          [{ %end, marks => [['key-1', 0, 7, 0]] }]);

is_judged('... for a notice', '',
          [{ %end, marks => [['key-1', 0, 7, 1]], gaps => 1, counted => 2 }]);

is_judged('... for it had left', '',
          [{ %end, how => 'left', marks => [['key-1', 0, 7, 0]] }]);

is_judged('not served for long', 'late',
          [{ %end, opened => 980, marks => [['key-1', 1, 9, 0]] }]);

is_judged('served late enough', '',
          [{ %end, opened => 995, marks => [['key-1', 2, 9, 0]] }]);

is_judged('never served', 'late', [{ %end, opened => 980, marks => [] }]);

# ends

my %eof = (%end, how => 'eof');

is_judged('cut', 'ended', [\%eof]);
is_judged('cut by a kill', '', [\%eof], killed => { 77 => 'KILL' });
is_judged('cut by an old worker', '', [\%eof], error_log => $leaves);
is_judged('told to go', 'ended', [{ %end, how => '1001' }]);
is_judged('told to go by an old worker', '', [{ %end, how => '1001' }],
          error_log => $leaves);
is_judged('told why', '', [{ %end, how => 'told' }]);

# the producer's receipts

is_judged('no receipt', 'producer producer', [\%end],
          produced => [grep { !/ 104$/ } @produced]);

is_judged('a log that went back', 'broker', [\%end],
          produced => [map { s/ 105$/ 104/r } @produced]);

done_testing();
