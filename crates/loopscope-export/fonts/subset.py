"""Makes the bundled fonts of Liberation Sans 2 (SIL Open Font License 1.1): python subset.py FOLDER_OF_LIBERATION. Needs fonttools."""
from fontTools.ttLib import TTFont
from fontTools import subset
import sys
src = sys.argv[1].rstrip('/') + '/'
u=[]
for a,b in [(0x20,0x7e),(0xa0,0x24f),(0x2bb,0x2dd),(0x370,0x3ff),(0x400,0x45f),(0x490,0x491),(0x1e00,0x1eff),(0x2010,0x2044),(0x2070,0x209f),(0x20a0,0x20bf),(0x2100,0x215f),(0x2190,0x2195),(0x2200,0x22ff),(0x2500,0x25ff),(0xfb01,0xfb02),(0xfffd,0xfffd)]:
    u+=range(a,b+1)
for weight in ['Regular','Bold']:
    f=TTFont(src+f'LiberationSans-{weight}.ttf')
    o=subset.Options(); o.hinting=False; o.layout_features=['kern','liga','ccmp','mark','mkmk','locl']; o.name_IDs=[0,1,2,3,4,5,6,13,14]; o.notdef_outline=True; o.drop_tables+=['DSIG']
    s=subset.Subsetter(o); s.populate(unicodes=u); s.subset(f)
    for r in f['name'].names:
        full='Loopscope Sans' + (' Bold' if weight=='Bold' else '')
        if r.nameID==1: r.string='Loopscope Sans'
        if r.nameID in(3,4): r.string=full
        if r.nameID==6: r.string='LoopscopeSans-'+weight
    f['head'].modified=f['head'].created
    f.recalcTimestamp=False
    f.save(f'loopscope-sans-{weight.lower()}.ttf')
    print(weight, len(f.getGlyphOrder()), [str(r) for r in f['name'].names if r.nameID in (0,13)][:2])
