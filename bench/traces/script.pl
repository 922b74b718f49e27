# SPDX-License-Identifier: MIT
# Words gathered into strings that grow and lists that grow, then joined, sorted and dropped.
my (%text, %list, $next);
$next = 1;
for my $round (1 .. 4) {
    for my $line (1 .. 8000) {
        $next = ($next * 16807) % 2147483647;
        my $word = substr($next, 0, 1 + $next % 9);
        $text{$word % 500} .= "$word ";
        push @{$list{$word % 300}}, $word;
    }
    my @kept = sort { length $text{$a} <=> length $text{$b} || $a <=> $b } keys %text;
    delete @text{@kept[0 .. $#kept / 2]};
    delete $list{$_} for grep { $_ % 2 } keys %list;
    print scalar(@kept), ' ', length join(',', map { @$_ } values %list), "\n";
}
